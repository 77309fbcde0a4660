"""Traps of the emitted step that no value shows: wrong shapes, BatchNorm, numbers out of range, names of nodes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sgdsl import driver
from sgdsl.base.diagnostics import DiagnosticError
from sgdsl.base.source import Source
from sgdsl.oracle.program import BOUNDS, OVERRIDES, batch_of
from sgdsl.runtime.draws import Draws
from tests.oracle.program import MODELS, compile_text, every_pattern, program

WRONG: dict[str, Callable[[Tensor], Tensor]] = {
    "one dimension more": lambda t: t[..., None],
    "transposed": lambda t: t.transpose(0, 1),
    "summed over entries": lambda t: t.sum(1),
    "summed over entries, kept": lambda t: t.sum(1, keepdim=True),
    "one row less": lambda t: t[:, 1:],
}
NORM = """model norm
observed   x : real[3]
given      g : real[2]
supervised y : class(3)
latent     z : real[2]
net f = mlp(4, norm = batch)
let h = mlp(4, norm = {let})(x, g)
p(y) = Categorical
p(z) = Normal
p(x | y, z) = Normal({p_x})
q(y | {above}h) = Categorical({q_y}){by}
q(z | x, y) = Normal({q_z})
"""


def noise(seed: int) -> Draws:
    """Draws as in training."""
    return Draws(torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("density", ["categorical_log_prob", "normal_log_prob"])
def test_a_log_probability_of_the_wrong_shape_is_refused(density: str, wrong: str) -> None:
    """Trap 5: a log-probability that is not [S or 1, entries] broadcasts in silence; the step must stop and name it."""
    compiled = program("gauss_both")
    batch = batch_of(compiled, every_pattern(compiled, (1, 2, 3)))
    module = sys.modules[type(compiled.module).__module__]
    right = getattr(module, density)
    setattr(module, density, lambda *args, **options: WRONG[wrong](right(*args, **options)))
    try:
        with pytest.raises(AssertionError, match=r"log_[pq]_"):
            compiled.run(batch, noise(1), 2, 0.5)
    finally:
        setattr(module, density, right)


def norms(**where: str) -> str:
    """A program with BatchNorm in some place."""
    plain = {"let": "none", "p_x": "mlp(4)", "above": "", "q_y": "linear", "by": "", "q_z": "mlp(4)"}
    return NORM.format(**{**plain, **where})


@pytest.mark.parametrize(
    "where",
    [
        {"q_z": "mlp(4, norm = batch)"},  # y: enumerated values
        {"q_z": "mlp(4, norm = batch)", "by": " by score"},  # y: samples
        {"p_x": "mlp(4, norm = batch)"},  # z: samples, y: values
        {"p_x": "f"},  # the same through a net
        {"q_z": "mlp(4) >> f"},
        {"above": "z0, ", "q_y": "mlp(4, norm = batch)"},  # a latent above the label
    ],
)
def test_batch_norm_of_what_varies_is_refused(where: dict[str, str]) -> None:
    """Trap 8: BatchNorm whose input varies over samples or values sees other rows than it should: a diagnostic."""
    text = norms(**where)
    if "above" in where:
        text += "latent z0 : real\np(z0) = Normal\nq(z0 | x) = Normal(linear)\n"
    with pytest.raises(DiagnosticError):
        driver.check(Source("norm", text))
    plain = text.replace("norm = batch", "norm = layer")
    driver.check(Source("norm", plain))


def test_batch_norm_sees_each_row_once() -> None:
    """Trap 8: where it is allowed (its input is data) it sees the rows: not their entries, not their samples."""
    compiled = compile_text(norms(let="batch"), "norm")
    rows = every_pattern(compiled, (1, 2, 3))
    batch = batch_of(compiled, rows)
    seen: list[Tensor] = []
    (norm,) = (m for m in compiled.module.modules() if isinstance(m, torch.nn.BatchNorm1d))
    norm.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    compiled.module.train()
    compiled.run(batch, noise(1), 3, 0.5)
    assert [t.flatten(0, -2).shape for t in seen] == [(len(rows), 4)]
    assert norm.running_mean is not None
    assert torch.allclose(norm.running_mean, 0.1 * seen[0].reshape(-1, 4).mean(0))


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("name", ["three_labels", "long_chain", "listed_between", "labels_chain", "scored_label"])
def test_extreme_probabilities_stay_finite(name: str, bound: str) -> None:
    """Protects weights, shares and sums in the log domain: with logits of ±700, where probabilities are 0 or 1, every
    bound is finite and so is every gradient."""
    compiled = compile_text((MODELS / f"{name}.sgm").read_text(), name, bound, 350.0)
    step = compiled.run(batch_of(compiled, every_pattern(compiled, (1, 2, 3))), noise(1), 3, 0.5)
    slopes = torch.autograd.grad(step.objective.sum(), list(compiled.module.parameters()), allow_unused=True)
    assert step.bound.isfinite().all()
    assert step.log_w.isfinite().all()
    assert all(g.isfinite().all() for g in slopes if g is not None)


@pytest.mark.parametrize("node", ["a", "y", "t"])
def test_no_name_of_a_node_changes_a_number(node: str) -> None:
    """Protects the name space: a node may be called like any variable of the emitted step (label_y, share_y, …); the
    renamed program has the same bounds to the bit."""
    text = (MODELS / "scored_names.sgm").read_text()
    plain = compile_text(text, "plain", "iw")
    rows = every_pattern(plain, (1, 2))
    wanted = plain.run(batch_of(plain, rows), noise(3), 2, 0.5).bound
    emitted = driver.compile_source(Source("plain", text), OVERRIDES["iw"]).text
    forward = emitted[emitted.index("def forward") : emitted.index("return Step(")]
    names = set(re.findall(r"\b[a-z]\w*\b", forward)) | set(re.findall(r"\bup_\w+", emitted))
    assert {"label_t", "known_y", "log_w", "gain", "up_x", "at_y"} <= names
    for name in sorted(names - {n.name for n in plain.ir.nodes}):
        try:
            compiled = compile_text(re.sub(rf"\b{node}\b", name, text), "renamed", "iw")
        except DiagnosticError:
            continue  # a word of the language itself
        new = {node: name}
        moved = [({new.get(n, n): v for n, v in r.items()}, tuple(new.get(n, n) for n in k), 1) for r, k, _ in rows]
        assert torch.equal(compiled.run(batch_of(compiled, moved), noise(3), 2, 0.5).bound, wanted), name
