"""Queries of models with loops against their loops written out: each copy's draw, and log p and log q of every node, with
several copies' labels mixed in one batch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.middle import ir
from sgdsl.oracle.interpret import Reader
from sgdsl.oracle.keyed import Keyed
from sgdsl.oracle.loops import Looped, looped
from sgdsl.oracle.noise import class_logits
from sgdsl.oracle.program import build, copies, fill
from sgdsl.runtime.draws import Draws

HERE = Path(__file__).parent / "models"
MODELS = sorted(HERE.glob("*.sgm"))
KEYED, SAMPLES = Keyed(0.3), 2
HOW = ("score", 1.0)  # what queries draw is never relaxed
Row = dict[str, Tensor]


def of(file: Path) -> Looped:
    checked = driver.check(driver.read(file))
    compiled = build(driver.emit(checked), "snis")
    fill(compiled.module, 0.4)
    return looped(compiled, checked.plan)


def written(model: Looped, values: Mapping[str, Tensor], sample: int, row: int) -> Row:
    """Values by copy, [1, *event] each."""
    nodes = [n for n in model.compiled.ir.nodes if n.name in values]
    wide = {n.name: values[n.name].expand(SAMPLES, *values[n.name].shape[1:]) for n in nodes}
    return {copy: wide[n.name][sample, row][at][None].double() for n in nodes for copy, at in copies(n)}


def reader(model: Looped, values: Mapping[str, Tensor], sample: int, row: int) -> Reader:
    """That of the copies that exist in a row."""
    counts = tuple(int(values[n].expand(SAMPLES, -1)[sample, row]) for n in model.flats.names)
    found = model.flat.reader
    return found.readers[counts] if model.flats.names else found  # type: ignore[attr-defined,no-any-return]


def asked(model: Looped, side: ir.Side) -> tuple[Row, Row, list[tuple[str, ...]]]:
    """Values and masks of one row a pattern of labels on q's side; on p's one with nothing but what is given."""
    patterns = model.patterns() if side == "q" else [(), ()]
    rows = [model.row(known, 3 + i) for i, known in enumerate(patterns)]
    seen = {n.name for n in model.compiled.ir.nodes if n.role != "latent" and (side == "q" or n.role == "given")}
    values = {n: torch.stack([row[n] for row in rows])[None] for n in rows[0] if n in seen}
    labels = [n for n in model.compiled.ir.nodes if n.role == "supervised" and n.name in seen]
    known = {
        n.name: torch.stack(
            [torch.tensor([c in p for c, _ in copies(n)]).reshape([r.copies for r in n.axes]) for p in patterns]
        )
        for n in labels
    }
    return values, known, patterns


@pytest.mark.parametrize("side", ["q", "p"])
@pytest.mark.parametrize("file", MODELS, ids=lambda f: f.stem)
def test_every_copy_is_drawn_as_written_out(file: Path, side: ir.Side) -> None:
    """Protects draws: plates whose factors read the copies of one loop of two, sequences both ways, weights of a copy's own,
    labels kept; and log r, the density of what was drawn."""
    model = of(file)
    values, known, patterns = asked(model, side)
    module = model.compiled.module
    draw = module.draw_q if side == "q" else module.draw_p
    drawn = draw(values, known, KEYED, SAMPLES, **({} if side == "q" else {"rows": len(patterns)}))
    for row, labels in enumerate(patterns):
        read, at = reader(model, drawn.values, 1, row), written(model, drawn.values, 1, row)
        log_r = torch.zeros(1).double()
        for factor in read.model.p if side == "p" else read.model.q:
            if factor.node in labels:
                node, place = model.flats.most.copies[factor.node]
                index = tuple(p - r.first for p, r in zip(place, model.compiled.ir.node(node).axes, strict=True))
                assert torch.equal(drawn.values[node][1, row][index].double(), values[node][0, row][index].double())
                continue
            parameters = {n: p[None] for n, p in read.parameters(factor, at).items()}
            event = read.model.node(factor.node).type.event
            found = KEYED.drawn(factor.family, HOW, parameters, (1, 1, *event))[0].double()
            found = found + read.model.node(factor.node).type.first * (factor.family == "Categorical")
            torch.testing.assert_close(at[factor.node], found.detach(), rtol=1e-12, atol=1e-12)
            log_r = log_r + read.log_prob(factor, at).detach()
        torch.testing.assert_close(drawn.log_r[1, row], log_r[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("file", MODELS, ids=lambda f: f.stem)
def test_log_p_and_log_q_are_those_of_all_copies(file: Path) -> None:
    """Protects `log_p`, `log_q` and `log_labels`: of every node the sum over the copies that exist."""
    model = of(file)
    values, known, patterns = asked(model, "q")
    module = model.compiled.module
    drawn = module.draw_q(values, known, KEYED, SAMPLES).values
    log_p, log_q, labels = module.log_p(drawn), module.log_q(drawn), module.log_labels(drawn, known)
    for row, pattern in enumerate(patterns):
        read, at = reader(model, drawn, 0, row), written(model, drawn, 0, row)
        for found, factors, some in (
            (log_p, read.model.p, None),
            (log_q, read.model.q, None),
            (labels, read.model.q, pattern),
        ):
            wanted = {name: torch.zeros(1).double() for name in found}
            for factor in (f for f in factors if some is None or f.node in some):
                wanted[model.flats.most.copies[factor.node][0]] += read.log_prob(factor, at).detach()
            for name, value in wanted.items():
                torch.testing.assert_close(found[name].expand(SAMPLES, -1)[0, row], value[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("file", MODELS, ids=lambda f: f.stem)
def test_moments_of_p_are_those_of_every_copy(file: Path) -> None:
    """Protects what edits, traversals and imputed cells are made of: mean and variance of each copy that exists."""
    model = of(file)
    values, known, patterns = asked(model, "q")
    module = model.compiled.module
    drawn = module.draw_q(values, known, KEYED, SAMPLES).values
    for node in (n for n in model.compiled.ir.nodes if n.role != "given"):
        mean, variance = (m.detach().expand(SAMPLES, *m.shape[1:]) for m in module.moments_at(node.name, drawn))
        for row in range(len(patterns)):
            read, at = reader(model, drawn, 1, row), written(model, drawn, 1, row)
            for copy, place in ((c, p) for c, p in copies(node) if any(n.name == c for n in read.model.nodes)):
                factor = read.model.factor("p", copy)
                parameters = {n: p.detach() for n, p in read.parameters(factor, at).items()}
                if factor.family == "Categorical":
                    wanted = class_logits(parameters).softmax(-1)
                elif factor.family not in ("Normal", "Laplace"):
                    continue
                else:
                    wanted = parameters["loc"].expand_as(at[copy])
                    found = variance[1, row][place]
                    torch.testing.assert_close(found, parameters["scale"].square().expand_as(at[copy])[0])
                torch.testing.assert_close(mean[1, row][place], wanted.expand(1, *mean[1, row][place].shape)[0])


@pytest.mark.parametrize("name", ["dkf", "vrnn"])
def test_the_cost_of_a_draw_grows_with_the_copies(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects long sequences: rows through linear layers, of draws along both sides, double where the copies do."""
    text = (Path(__file__).parents[2] / "models" / "loops" / f"{name}.sgm").read_text(encoding="utf-8")
    rows, through = [0], torch.nn.functional.linear

    def counted(input: Tensor, *others: Tensor) -> Tensor:
        rows[0] += input[..., 0].numel()
        return through(input, *others)

    monkeypatch.setattr(torch.nn.functional, "linear", counted)
    found = []
    for copies_ in (10, 20):
        source = Source("m.sgm", re.sub(r"const T = \d+", f"const T = {copies_}", text))
        module = build(driver.compile_source(source), "snis").module
        rows[0] = 0
        seen = {n: torch.randn(1, 3, copies_, *i.event) for n, i in module.NODES.items() if i.role == "observed"}
        draws = Draws(torch.Generator().manual_seed(1))
        module.draw_q(seen, {}, draws, 2)
        module.draw_p({}, {}, draws, 2, rows=3)
        found.append(rows[0])
    assert 0 < found[1] <= 2.1 * found[0]  # the first copy may cost less than the others
