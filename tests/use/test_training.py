"""Runs of models that use others: weights come from runs, frozen ones stay, a run folder is whole by itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from sgdsl import driver
from sgdsl.train.checkpoint import load, save
from sgdsl.train.dry_run import dry_run
from sgdsl.train.errors import RunError
from sgdsl.train.fit import fit
from sgdsl.train.prepare import build
from sgdsl.train.run import Run
from sgdsl.train.used import load_used
from tests.train.small import TINY, clusters, codes, weights_of
from tests.use.programs import write

BITS = TINY.replace("mlp(8)", "mlp(8, dropout = 0.3)").replace(
    "Categorical(mlp(8, dropout = 0.3))", "Categorical(mlp(8, norm = batch))"
)
OVER = """model over
use bits = "bits.sgm" (weights = "runs/bits")
observed   x : binary[8]
supervised y : class(3)
latent     z : real[2]
latent     n : real[2]
p(n)           = Normal
p(y)           = bits.p(y)
p(z)           = bits.p(z)
p(x | y, z, n) = Bernoulli(probs = clamp(bits.mean(x | y = y, z = z + 0.1 * n), 0.01, 0.99))
q(y | x)       = bits.q(y | x = x)
q(z | x, y)    = bits.q(z | x = x, y = y)
q(n | x)       = Normal(mlp(8))
train { epochs = 2, batch = 16, lr = 1e-2 }
"""
FROZEN = OVER.replace('"runs/bits"', '"runs/bits", frozen')


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with models, and a run of one of them."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, bits=BITS, over=OVER, frozen=FROZEN)
    trained("bits", "runs/bits")
    return tmp_path


def trained(name: str, out: str | None = None, *overrides: str, **options: Any) -> Run:
    program = driver.compile_source(driver.read(f"{name}.sgm"), overrides)
    return fit(program, clusters(), out=Path(out) if out else None, quiet=True, **options)


def of_bits(run: Run) -> dict[str, Any]:
    return {n.removeprefix("bits."): t for n, t in weights_of(run).items() if n.startswith("bits.")}


def test_weights_come_from_the_run(folder: Path) -> None:
    """A fresh module has those of the run folder, to the bit, under the name of the use."""
    program = driver.compile_source(driver.read("over.sgm"))
    module = build(program.text, "over")
    fresh = {n: t.clone() for n, t in module.state_dict().items()}
    load_used(module, program)
    wanted = load(folder / "runs/bits/checkpoints/weights.safetensors")[0]
    for name, tensor in module.state_dict().items():
        if name.startswith("bits."):
            assert torch.equal(tensor, wanted[name.removeprefix("bits.")])
        else:
            assert torch.equal(tensor, fresh[name])


def test_frozen_models_stay_and_others_are_tuned(folder: Path) -> None:
    """Frozen: weights and running means to the bit, no gradient, eval mode in training; else all of them move."""
    before = load(folder / "runs/bits/checkpoints/weights.safetensors")[0]
    still, moved = of_bits(trained("frozen")), of_bits(trained("over"))
    assert still.keys() == moved.keys()
    assert all((still[n] == before[n].numpy()).all() for n in still)
    assert all((moved[n] != before[n].numpy()).any() for n in moved)
    module = build(driver.compile_source(driver.read("frozen.sgm")).text, "frozen").train()
    modes = {m.training for n, m in module.named_modules() if n.startswith("bits")}
    assert modes == {False}
    assert module.q_n.training
    assert not any(p.requires_grad for n, p in module.named_parameters() if n.startswith("bits."))


def test_a_run_goes_on_and_is_read_without_the_files_it_used(folder: Path) -> None:
    """A run folder keeps the other file, and its checkpoint the weights: resuming is to the bit, with all else gone."""
    whole = trained("over", "runs/whole", "train.epochs=4", "train.average=0.9")
    half = trained("over", "runs/half", "train.epochs=2", "train.average=0.9")
    assert (half.folder / "used" / "bits.sgm").read_text() == BITS
    half_weights = weights_of(half)
    shutil.rmtree("runs/bits")
    for name in ("bits", "over", "frozen"):
        Path(f"{name}.sgm").unlink()
    again = Run.load(Path("runs/half"))
    assert all((t == half_weights[n]).all() for n, t in weights_of(again).items())
    program = driver.compile_source(driver.read("runs/half/model.sgm"), ["train.epochs=4", "train.average=0.9"])
    resumed = fit(program, clusters(), resume=Path("runs/half"), quiet=True)
    assert all((t == weights_of(whole)[n]).all() for n, t in weights_of(resumed).items())


def test_models_inside_models_bring_their_own(folder: Path) -> None:
    """A used run's weights hold those of the models it used; without a run each use line speaks for itself."""
    text = (
        OVER.replace("model over", "model outer").replace("bits", "over").replace('"runs/over"', '"runs/over", frozen')
    )
    write(folder, outer=text.replace("z = z + 0.1 * n)", "z = z, n = n)"))
    over = weights_of(trained("over", "runs/over"))
    found = weights_of(trained("outer", "runs/outer"))
    inner = {n.removeprefix("over."): t for n, t in found.items() if n.startswith("over.bits.")}
    assert inner
    assert all((t == over[n]).all() for n, t in inner.items())
    assert sorted(p.name for p in (folder / "runs/outer/used").iterdir()) == ["over.bits.sgm", "over.sgm"]
    Path("outer.sgm").write_text(Path("outer.sgm").read_text().replace(' (weights = "runs/over", frozen)', ""))
    program = driver.compile_source(driver.read("outer.sgm"))
    module = build(program.text, "outer")
    load_used(module, program)
    bits = load(folder / "runs/bits/checkpoints/weights.safetensors")[0]
    state = module.state_dict()
    assert all(
        torch.equal(t, bits[n.removeprefix("over.bits.")]) for n, t in state.items() if n.startswith("over.bits.")
    )


def test_weights_that_are_not_there(folder: Path) -> None:
    """No folder: said at the `use` line, by a dry run too; `check` reads none."""
    shutil.rmtree("runs/bits")
    program = driver.compile_source(driver.read("over.sgm"))
    for attempt in (lambda: fit(program, clusters(), quiet=True), lambda: dry_run(program, clusters())):
        with pytest.raises(RunError) as error:
            attempt()
        assert codes(error) == ["E0663"]
        found = error.value.diagnostics[0]
        assert found.source is not None
        assert found.span is not None
        assert found.source.text[found.span.start : found.span.end] == "bits"


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [("mlp(8, norm = batch)", "mlp(8)", "q(y | x)"), ("real[2]", "real[3]", "the node `z`"), ("table", "table", "")],
)
def test_a_run_of_another_model(folder: Path, old: str, new: str, difference: str) -> None:
    """The file changed after its run: the first difference is named; comments and settings are none."""
    Path("bits.sgm").write_text(
        "# changed\n".join(["", ""]) + BITS.replace(old, new).replace("epochs = 2", "epochs = 3")
    )
    Path("over.sgm").write_text(OVER.replace("real[2]", new) if old == "real[2]" else OVER)
    if not difference:
        load_used(build((p := driver.compile_source(driver.read("over.sgm"))).text, "over"), p)
        return
    with pytest.raises(RunError) as error:
        trained("over")
    assert codes(error) == ["E0670"]
    assert difference in error.value.diagnostics[0].message


def test_weights_that_were_changed(folder: Path) -> None:
    """A tensor of another shape, or none of the name."""
    path = folder / "runs/bits/checkpoints/weights.safetensors"
    tensors, info = load(path)
    for changed in (
        {**tensors, "q_z.loc.bias": torch.zeros(3)},
        {n: t for n, t in tensors.items() if n != "q_z.loc.bias"},
    ):
        save(path, changed, info)
        with pytest.raises(RunError) as error:
            trained("over")
        assert codes(error) == ["E0671"]
        assert "q_z.loc.bias" in error.value.diagnostics[0].message


def test_a_model_of_frozen_factors_alone_has_nothing_to_train(folder: Path) -> None:
    """E0664, as for a model without weights."""
    text = FROZEN.replace("q(n | x)       = Normal(mlp(8))", "q(n | x)       = Normal")
    write(folder, still=text)
    with pytest.raises(RunError) as error:
        trained("still")
    assert codes(error) == ["E0664"]
