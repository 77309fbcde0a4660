"""The wheel holds everything that a run needs, and works from an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "models" / "mnist.sgm"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip(["wheel", str(ROOT), "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)])
    (made,) = folder.glob("*.whl")
    return made


def pip(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_holds_what_is_no_python(wheel: Path) -> None:
    """The grammar, the digits with their notice, the error pages; and no tests."""
    names = zipfile.ZipFile(wheel).namelist()
    assert "sgdsl/grammars/sgm.lark" in names
    data = {
        str(p.relative_to(ROOT)) for p in (ROOT / "sgdsl").rglob("*") if p.is_file() and "__pycache__" not in p.parts
    }
    assert data <= set(names)
    assert not [n for n in names if n.startswith(("tests", "docs", "models"))]


def test_an_installed_wheel_checks_a_model_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    """What a user does after pip install: nothing of the checkout may be needed."""
    target, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "m.sgm").write_text(MODEL.read_text())
    pip(["install", str(wheel), "--no-deps", "--target", str(target)])
    where = "import sgdsl; print(sgdsl.__file__)"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PYTHONPATH": str(target)}
    for command in (["-c", where], ["-m", "sgdsl", "check", "../m.sgm"], ["-m", "sgdsl", "explain", "E0301"]):
        done = subprocess.run([sys.executable, *command], cwd=empty, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        if command[0] == "-c":
            assert done.stdout.startswith(str(target))


def test_constraints_pin_every_dependency() -> None:
    """`pip install -c constraints.txt` gives the same versions everywhere, torch's CPU build among them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {w.split(">=")[0].split("[")[0].lower() for w in wanted}
    pinned = dict(
        line.lower().split("==")
        for line in (ROOT / "constraints.txt").read_text().split("\n")
        if "==" in line[:60] and line[0] != "#"
    )
    assert names <= set(pinned)
    assert pinned["torch"] == "2.13.0"


def test_an_editable_install_works_from_an_empty_folder(tmp_path: Path) -> None:
    """What `make run` does: the checkout's files are used as they stand, the grammar of the checkout among them."""
    home, empty = tmp_path / "venv", tmp_path / "empty"
    empty.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    site = home / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    python = str(home / "bin" / "python")
    install = [
        "-m",
        "pip",
        "install",
        "--editable",
        str(ROOT),
        "--no-deps",
        "--no-build-isolation",
        "--force-reinstall",
    ]
    done = subprocess.run([python, *install], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    where = subprocess.run(
        [python, "-c", "import sgdsl; print(sgdsl.__file__)"], cwd=empty, capture_output=True, text=True
    )
    assert where.stdout.startswith(str(ROOT))
    checked = subprocess.run(
        [str(home / "bin" / "sgdsl"), "check", str(MODEL)], cwd=empty, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr
