"""The emitted text: deterministic, left alone by ruff, alone the same to the bit, and safe from names that are traps."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.catalog.functions import FUNCTIONS
from sgdsl.runtime.batch import Batch, make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load

MODELS = sorted((Path(__file__).parents[2] / "models").glob("*.sgm"))

TRAPS = """model traps "names that mean something to Python and torch, and 'quotes' \\\\ in a text"
observed   forward : real[3]
supervised lambda  : class(3)
latent     train   : real[2]
latent     h       : real[2]
latent     batch   : binary[2]
net        modules = mlp(4)
let        half    = mlp(4)(forward)
p(lambda)  = Categorical
p(train)   = Normal
p(h | lambda) = Normal(table)
p(batch | lambda) = Bernoulli(table)
p(forward | train, h, lambda, batch) = Normal(modules >> mlp(5))
q(lambda | half) = Categorical(mlp(4))
q(train | half, lambda) = Normal(mlp(4))
q(h | train) = Normal(loc = linear(2)(train) + train * 2, scale = 0.5)
q(batch | h, lambda) = Bernoulli(mlp(4))
"""


def rows_for(model: torch.nn.Module, rows: int = 6) -> Batch:
    """Legal random data, every other row labelled."""
    torch.manual_seed(1)
    values, known = {}, {}
    for name, info in model.NODES.items():
        if info.role == "latent":
            continue
        copies = tuple(model.RANGES[r].number for r in info.loops)
        size = (rows, *copies, *info.event)
        drawn = torch.randint(info.first, info.first + max(info.classes, 1), size)
        values[name] = drawn if info.integer else torch.rand(size).round() + (info.support == "positive")
        if info.role == "supervised":
            every_other = torch.arange(rows) % 2 == 0
            known[name] = every_other.reshape(rows, *[1] * len(copies)).expand(rows, *copies)
    return make_batch(model, values, known)


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_emission_is_deterministic(path: Path) -> None:
    """The same file gives the same text: run folders and golden files depend on it."""
    source = driver.read(path)
    assert driver.compile_source(source).text == driver.compile_source(source).text


def test_ruff_leaves_the_text_alone(tmp_path: Path) -> None:
    """The text reads as an expert would write it, down to its layout."""
    texts = {p.stem: driver.compile_source(driver.read(p)).text for p in MODELS}
    texts["traps"] = driver.compile_source(Source("traps.sgm", TRAPS)).text
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length=120", "--diff", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_line_knows_the_line_it_came_from() -> None:
    """An error at run time ends with the .sgm line, so the map must be as long as the text and point at factors."""
    source = driver.read(next(p for p in MODELS if p.stem == "mnist"))
    program = driver.compile_source(source)
    lines = program.text.splitlines()
    assert len(program.lines) == len(lines)
    at = next(i for i, line in enumerate(lines) if "log_p_x = bernoulli_log_prob" in line)
    assert source.line(program.lines[at]).startswith("p(x | y, z)")


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_a_step_trains_every_weight(path: Path) -> None:
    """Each gallery model takes a step on data of the right shapes: finite bounds, a finite gradient everywhere."""
    program = driver.compile_source(driver.read(path))
    torch.manual_seed(0)
    model = load(program.text, f"emitted_{path.stem}").Model()
    step = model(rows_for(model), Draws(torch.Generator().manual_seed(0)))
    assert step.bound.shape == (6,)
    assert step.bound.isfinite().all()
    step.objective.sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_names_that_are_traps() -> None:
    """A node may be called train, forward, lambda or h; nothing of the file reaches the text but names and reprs."""
    program = driver.compile_source(Source("traps.sgm", TRAPS))
    model = load(program.text, "emitted_traps").Model()
    step = model(rows_for(model), Draws(torch.Generator().manual_seed(0)))
    assert step.bound.isfinite().all()
    assert model.train() is model
    assert "p_train.loc" not in dict(model.named_parameters())


CALLS = {
    **{name: f"{name}(z)" for name in FUNCTIONS},
    "log": "log(exp(z))", "sqrt": "sqrt(exp(z))", "clamp": "clamp(z, -1, 1)", "sum": "sum(z) * z",
    "mean": "mean(z, axis = 0) * z",
    "max": "max(z) + z", "last": "last(z) + z", "stack": "sum(stack(z, z), axis = 0)", "dot": "dot(z, z) + z",
    "concat": "concat(last(z), last(z), last(z))", "zeros": "zeros(3) + z",
    "crop": "sum(crop(stack(stack(z, z, z)), z, size = [2, 2])) * z",
    "centre": "sum(centre(exp(stack(stack(z, z, z))))) * z",
    "paste": "sum(paste(stack(stack(z, z, z)), z, size = [5, 6])) * z",
    "reshape": "sum(reshape(concat(z, z), size = [2, 3])) * z",
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_a_text_that_runs(name: str) -> None:
    """Each row of the catalogue of functions can be emitted, keeps its shape and passes a finite gradient."""
    text = f"""model f
observed x : real[3]
latent z : real[3]
p(z) = Normal
p(x | z) = Normal({CALLS[name]} + linear(3)(z), 1)
q(z | x) = Normal(mlp(4))
"""
    model = load(driver.compile_source(Source("f.sgm", text)).text, f"emitted_f_{name}").Model()
    step = model(rows_for(model), Draws(torch.Generator().manual_seed(0)))
    step.objective.sum().backward()
    assert step.bound.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


ALONE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("sgdsl", "lark", "networkx"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import torch
torch.manual_seed(0)
import model
m = model.Model()
data = torch.load("data.pt", weights_only=True)
batch = model.make_batch(m, data["values"], data["known"])
step = m(batch, model.Draws(torch.Generator().manual_seed(3)))
step.objective.sum().backward()
torch.save([step.bound.detach(), *(p.grad for p in m.parameters())], "out.pt")
"""


@pytest.mark.parametrize("name", ["mnist", "m1_m2", "svhn", "faces"])
def test_one_file_alone_gives_the_same_to_the_bit(name: str, tmp_path: Path) -> None:
    """`sgdsl compile -o model.py` needs torch alone: run where sgdsl, lark and networkx cannot be imported."""
    program = driver.compile_source(driver.read(next(p for p in MODELS if p.stem == name)))
    (tmp_path / "model.py").write_text(driver.compile_alone(program))
    (tmp_path / "main.py").write_text(ALONE)
    torch.manual_seed(0)
    model = load(program.text, f"emitted_{name}").Model()
    batch = rows_for(model)
    values = {n: v[0] for n, v in batch.values.items()}
    torch.save({"values": values, "known": dict(batch.known)}, tmp_path / "data.pt")
    step = model(batch, Draws(torch.Generator().manual_seed(3)))
    step.objective.sum().backward()
    subprocess.run([sys.executable, "main.py"], cwd=tmp_path, check=True, env={"OMP_NUM_THREADS": "1", "PATH": ""})
    found = torch.load(tmp_path / "out.pt", weights_only=True)
    for mine, theirs in zip([step.bound, *(p.grad for p in model.parameters())], found, strict=True):
        assert torch.equal(mine, theirs)


def test_runtime_modules_can_stand_in_one_file() -> None:
    """`compile -o` copies modules behind one another: no two may define one top-level name."""
    seen: dict[str, str] = {}
    for path in sorted((MODELS[0].parents[1] / "sgdsl" / "runtime").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            names = [t.id for t in getattr(node, "targets", [getattr(node, "target", None)]) if isinstance(t, ast.Name)]
            names += [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
            for name in names:
                assert seen.setdefault(name, path.name) == path.name, f"{name} in {seen[name]} and {path.name}"
