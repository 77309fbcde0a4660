"""The command line from outside: what is printed where, and the exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sgdsl import checked
from sgdsl.cli.entry import run

ROOT = Path(__file__).parents[2]
MNIST = str(ROOT / "models" / "mnist.sgm")
WRONG = """model m "p(z) is misspelt"
observed x : real[2]
latent z : real[2]
p(z) = Normall
p(x | z) = Normal(mlp(8))
q(z | x) = Normal
"""


@pytest.fixture
def wrong(tmp_path: Path) -> str:
    path = tmp_path / "wrong.sgm"
    path.write_text(WRONG)
    return str(path)


def test_check_says_ok_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """Several models at once, one line each."""
    assert run(["check", MNIST, MNIST]) == 0
    assert capsys.readouterr().out == f"{MNIST}: ok\n" * 2


def test_check_shows_mistakes_on_standard_error(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Carets under the word; the other file is still checked; exit code 1."""
    assert run(["check", wrong, MNIST]) == 1
    out, err = capsys.readouterr()
    assert out == f"{MNIST}: ok\n"
    assert f"--> {wrong}:4:8" in err
    assert "^^^^^^^" in err
    assert "\x1b" not in err


def test_check_as_json(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A program reads it all from standard output."""
    assert run(["check", wrong, "--json"]) == 1
    out, err = capsys.readouterr()
    made = json.loads(out)
    assert (made["format"], made["ok"], err) == (1, False, "")
    assert made["diagnostics"][0]["span"]["line"] == 4
    assert run(["check", MNIST, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


def test_other_commands_fail_likewise(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong model is exit code 1 everywhere, in JSON where that was asked for."""
    for command in ("show", "graph", "compile", "explain"):
        assert run([command, wrong]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert "^^^^^^^" in err
    assert run(["run", wrong, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


def test_set_is_checked_like_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    """The error points into the flag and knows what was meant."""
    assert run(["check", MNIST, "--set", "train.epoch=3"]) == 1
    err = capsys.readouterr().err
    assert "--set train.epoch=3" in err
    assert "epochs" in err
    assert run(["check", MNIST, "--set", "train.epochs=3"]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chek", MNIST], "'check'"),
        (["check"], "MODELS"),
        (["check", MNIST, "--jsn"], "--json"),
        (["show", MNIST, "--stage", "pyton"], "python"),
        (["graph", MNIST, "-o", "x.jpg"], ".svg, .png"),
        (["graph", MNIST, "-o", "/no/such/folder/x.svg"], "No such file"),
        (["explain", "E9999"], "E9999"),
        (["run"], "MODEL"),
        (["sample", "x", "y"], "NODE=VALUE"),
        (["sample", "x", "y=[import os]"], "NODE=VALUE"),
    ],
)
def test_wrong_use_is_exit_code_2(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With what was meant, or what would be right."""
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


@pytest.mark.parametrize("path", ["no.sgm", ".", ""])
def test_a_path_that_is_no_file(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A diagnostic, never a traceback."""
    assert run(["check", path]) == 1
    assert "error[E0109]" in capsys.readouterr().err


@pytest.mark.parametrize("stage", ["syntax", "ir", "graph", "plan", "python"])
def test_every_stage_is_printable(stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`show --stage` prints something of the model."""
    assert run(["show", MNIST, "--stage", stage]) == 0
    assert len(capsys.readouterr().out) > 20


def test_graph_writes_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The ending chooses the format; without -o DOT goes to standard output."""
    for name, start in (("a.svg", b"<?xml"), ("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.dot", b"digraph")):
        assert run(["graph", MNIST, "-o", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_bytes().startswith(start)
    assert capsys.readouterr().out == ""
    assert run(["graph", MNIST, "--view", "model"]) == 0
    assert "dashed" not in capsys.readouterr().out


def test_compile_and_show_are_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both can be compiled by Python; the file stands alone."""
    path = tmp_path / "m.py"
    assert run(["compile", MNIST, "-o", str(path)]) == 0
    assert "sgdsl" not in {
        line.split()[1].split(".")[0] for line in path.read_text().split("\n") if line[:5] == "from "
    }
    compile(path.read_text(), str(path), "exec")
    assert run(["show", MNIST]) == 0
    compile(capsys.readouterr().out, "shown", "exec")


def test_explain_a_model_and_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    """What is enumerated and why; and a page with a wrong and a right program."""
    assert run(["explain", MNIST]) == 0
    assert "enumerated" in capsys.readouterr().out
    assert run(["explain", "e0301"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("E0301: ")
    assert "Wrong:" in page
    assert "Right:" in page


def test_explain_as_latex_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """One block a pattern of labels; a document for programs; a code has no LaTeX."""
    assert run(["explain", MNIST, "--latex"]) == 0
    assert capsys.readouterr().out.count("\\begin{align*}") == 2
    assert run(["explain", MNIST, "--json", "--set", "objective.bound=iw"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["format"], made["ok"], made["bound"]) == (1, True, "iw")
    assert [p["title"] for p in made["patterns"]] == ["y unknown", "y known"]
    assert run(["explain", "E0301", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["code"] == "E0301"
    assert run(["explain", "E0301", "--latex"]) == 2
    assert run(["explain", MNIST, "--latex", "--json"]) == 2


def test_a_fault_of_ours_has_its_own_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """70, with the traceback in a file; behind -v on the screen."""

    def broken(*_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(checked, "check", broken)
    assert run(["check", MNIST]) == 70
    err = capsys.readouterr().err
    assert "fault of sgdsl" in err
    path = Path(err.split("report it with ")[1].split(",")[0])
    assert "KeyError: 'oops'" in path.read_text()
    path.unlink()
    assert run(["check", "-v", MNIST]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C is 130 and one line."""

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checked, "check", stopped)
    assert run(["check", MNIST]) == 130
    assert capsys.readouterr().err.strip() == "interrupted"


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", MNIST],
        ["show", MNIST],
        ["graph", MNIST],
        ["explain", MNIST],
        ["explain", MNIST, "--latex"],
        ["--help"],
    ],
)
def test_no_torch_before_training(arguments: list[str]) -> None:
    """These answer at once: importing torch takes seconds, and what else is heavy tenths of one."""
    assert loaded(arguments).isdisjoint(("torch", "numpy", "matplotlib", "lightning", "rich", "networkx"))


@pytest.mark.parametrize("arguments", [["check", MNIST], ["graph", MNIST]])
def test_no_second_half_of_the_compiler_before_it_is_needed(arguments: list[str]) -> None:
    """A check or a picture emits and explains nothing: what does is half of the compiler to import."""
    found = loaded(arguments)
    assert "sgdsl.driver" not in found
    assert not {"sgdsl.backend.python", "sgdsl.middle.explain", "sgdsl.middle.derive"} & found


def loaded(arguments: list[str]) -> set[str]:
    """The modules that a command, which ends well, has imported in a process of its own."""
    script = "import sys; from sgdsl.cli.entry import run; print(run(sys.argv[1:]), *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, cwd=ROOT, check=True
    )
    code, *modules = done.stdout.rstrip("\n").split("\n")[-1].split(" ")
    assert code == "0"
    return set(modules)


def test_as_a_module() -> None:
    """`python -m sgdsl` works, with its version and its exit code."""
    call = [sys.executable, "-m", "sgdsl"]
    assert subprocess.run([*call, "--version"], capture_output=True, text=True, cwd=ROOT).stdout.startswith("sgdsl 0.")
    assert subprocess.run([*call, "check", "no.sgm"], capture_output=True, cwd=ROOT).returncode == 1


def test_a_closed_pipe_is_no_fault() -> None:
    """`sgdsl show … | head -1` ends without a traceback."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "sgdsl", "show", MNIST, "--stage", "ir"], stdout=writer, stderr=subprocess.PIPE, cwd=ROOT
    )
    os.close(writer)
    assert b"fault" not in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("out", ["m.sgm", "other.sgm"])
def test_compile_never_overwrites_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    """`-o m.sgm` for `-o m.py` must not cost the source."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "models" / "vae.sgm").read_text()
    (tmp_path / "m.sgm").write_text(text)
    assert run(["compile", "m.sgm", "-o", out]) == 2
    assert (tmp_path / "m.sgm").read_text() == text
    assert not (tmp_path / "other.sgm").exists()


@pytest.mark.parametrize("seed", ["-1", "99999999999999999999999"])
def test_a_seed_out_of_range_is_wrong_use(seed: str) -> None:
    """Exit code 2 before anything is loaded, not a fault of ours."""
    assert run(["run", MNIST, "--seed", seed]) == 2
