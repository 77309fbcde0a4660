"""Partial nodes: what is missing has no influence, to the bit, and what is there counts as it would without `partial`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributions as td

import sgdsl
from sgdsl.runtime.batch import Batch, make_batch
from sgdsl.train.errors import DataError
from sgdsl.train.fit import fit as train
from tests.sides.programs import draws, module

ROWS, NAN = 6, float("nan")
EVERY = """model every
observed r : real[3] partial
observed s : real partial
observed t : positive[2] partial
observed m : unit[2, 4, 4] partial
observed b : binary[3] partial
observed c : class(3)[2] partial
observed n : count[2] partial
observed k : count(2, 4) partial
observed o : binary[2] partial
latent   u : class(3)
latent   z : real[2]
let h = mlp(4)(r, c)
let e = concat(r, t) * 2
let a = s
p(u)     = Categorical(learned)
p(z)     = Normal(learned)
p(r | z) = Normal(mlp(4))
p(s | z) = StudentT(mlp(4))
p(t | z) = LogNormal(mlp(4))
p(m | z) = Bernoulli(mlp(4))
p(b | z) = Bernoulli(mlp(4))
p(c | z, u) = Categorical(mlp(4))
p(n | z) = NegativeBinomial(mlp(4))
p(k | z) = Categorical(mlp(4))
p(o)     = Bernoulli
let v = 1 + square(mean(e)) + square(a)
q(z | h, m, b, n, k, v) = product(Normal(conv(2)(m)), Normal(mlp(3)(h, b)), Normal(loc = mlp(2)(k, n), scale = v))
q(u | z, c, m) = bayes
"""


@pytest.fixture(autouse=True)
def _double(request: pytest.FixtureRequest) -> Any:
    """Exact tests in double precision; training as it is."""
    torch.set_default_dtype(torch.float32 if "training" in request.node.name else torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def legal(info: Any, rows: int) -> torch.Tensor:
    """Random legal values of a node."""
    size = (rows, *info.event)
    if info.classes:
        drawn = torch.randint(info.first, info.first + info.classes, size)
        return drawn if info.integer else drawn.to(torch.get_default_dtype())
    match info.support:
        case "count":
            return torch.randint(0, 9, size).to(torch.get_default_dtype())
        case "positive":
            return torch.rand(size) + 0.1
        case "unit":
            return torch.rand(size)
        case _:
            return torch.randn(size)


def values(model: Any) -> dict[str, torch.Tensor]:
    """A third of the cells missing; row 0 complete, of row 1 everything missing."""
    found = {}
    for name, info in model.NODES.items():
        if info.role == "observed":
            value = legal(info, ROWS)
            hole = torch.rand(value.shape) < 0.33
            hole[0], hole[1] = False, True
            found[name] = torch.where(hole, torch.full((), -1 if info.integer else NAN, dtype=value.dtype), value)
    return found


def results(model: Any, batch: Batch) -> list[torch.Tensor]:
    """Bound and every gradient."""
    step = model(batch, draws(4))
    weights = [p for p in model.parameters() if p.requires_grad]
    return [step.bound, *torch.autograd.grad(step.objective.sum(), weights)]


def test_dummies_have_no_influence_to_the_bit() -> None:
    """Every support, read by nets, a conv, lets, expressions, experts and a posterior: other dummies, the same bits."""
    model = module(EVERY)
    batch = make_batch(model, values(model))
    first = results(model, batch)
    assert all(t.isfinite().all() for t in first)
    assert float(first[0][1].detach()) != 0
    others = {
        name: torch.where(batch.present[name], value, legal(model.NODES[name], ROWS)[None])
        for name, value in batch.values.items()
    }
    assert any(not torch.equal(others[n], batch.values[n]) for n in others)
    for a, b in zip(first, results(model, replace(batch, values=others)), strict=True):
        assert torch.equal(a, b)


def test_queries_see_the_same_cells() -> None:
    """Off the hot path values carry NaN: log p and log q of the step's own draw, term by term."""
    model = module(EVERY)
    seen = values(model)
    step = model(make_batch(model, seen), draws(4))
    whole = {n: v[None] for n, v in seen.items()}
    drawn = model.draw_q(whole, {}, draws(4)).values
    log_p = model.log_p(drawn)
    for name in ("r", "s", "t", "m", "b", "n", "k", "o"):
        term = next(t for key, t in step.terms.items() if key.startswith(f"p({name}"))
        assert torch.allclose(log_p[name].expand(1, ROWS), term.log_prob.expand(1, ROWS), rtol=1e-12), name
    assert torch.allclose(model.log_q(drawn)["z"], step.terms["q(z | h, m, b, n, k, v)"].log_prob, rtol=1e-12)


def test_only_present_cells_are_scored() -> None:
    """log p of a row is the sum over the cells that are there, by torch's own density; with none, 0."""
    model = module(EVERY)
    seen = values(model)
    z = torch.randn(1, ROWS, 2)
    log_p = model.log_p({**{n: v[None] for n, v in seen.items()}, "z": z, "u": torch.zeros(1, ROWS, dtype=torch.int64)})
    loc, scale = model.parameters_p("r", {"z": z})
    cells = td.Normal(loc, scale).log_prob(seen["r"].nan_to_num())
    expected = torch.where(seen["r"].isnan(), 0.0, cells).sum(-1)
    assert torch.allclose(log_p["r"], expected, rtol=1e-12)
    assert all(float(log_p[n][0, 1].detach()) == 0 for n in seen)


def test_a_complete_row_is_one_of_the_model_without_partial() -> None:
    """The mask's columns of the first layers at 0: the same numbers as without `partial`, for vectors and maps."""
    text = """model same
observed x : real[3] partial
observed m : unit[2, 4, 4] partial
latent   z : real[2]
p(z)     = Normal
p(x | z) = Normal(mlp(4))
p(m | z) = Bernoulli(mlp(4))
q(z | x, m) = Normal(conv(3) >> mlp(4))
"""
    ours, plain = module(text), module(text.replace(" partial", ""))
    state = plain.state_dict()
    for name, weight in ours.state_dict().items():
        if name == "q_z.trunk.0.weight":  # the map and its mask, 4 channels instead of 2
            weight.zero_()[:, :2] = state[name]
        elif name == "q_z.trunk.3.weight":  # 3 · 2 · 2 features of the map, 3 values, their mask
            weight.zero_()[:, :15] = state[name]
        else:
            weight.copy_(state[name])
    seen = {"x": torch.randn(ROWS, 3), "m": torch.rand(ROWS, 2, 4, 4)}
    bounds = [model(make_batch(model, seen), draws(4)).bound for model in (ours, plain)]
    assert torch.allclose(*bounds, rtol=1e-12)


SMALL = """model small
observed a : real[2] partial
observed c : class(3) partial
latent   z : real[1]
p(z)     = Normal
p(a | z) = Normal(mlp(4))
p(c | z) = Categorical(mlp(4))
q(z | a, c) = product(Normal(mlp(4)(a)), Normal(mlp(4)(c)))
train { epochs = 1, batch = 20 }
"""


def small(rows: int = 40) -> dict[str, Any]:
    random = np.random.default_rng(0)
    return {"a": random.normal(size=(rows, 2)), "c": np.arange(rows) % 3}


def columns(data: dict[str, Any], tmp_path: Any) -> Any:
    run = train(sgdsl.compile(SMALL).program, data, out=tmp_path / "run")
    assert run.prepared is not None
    return run.prepared.table.columns


def test_training_reads_every_form_of_missing(tmp_path: Any) -> None:
    """NaN cells; −1 for a class; masked arrays by cell; a mask of rows: all become the same columns."""
    base = small()
    holes = np.zeros((40, 2), bool)
    holes[:10, 0], holes[5:12] = True, True
    gone = np.arange(40) % 4 == 0
    nan = {"a": np.where(holes, np.nan, base["a"]), "c": np.where(gone, np.nan, base["c"])}
    masked = {"a": np.ma.masked_array(base["a"], holes), "c": np.where(gone, -1, base["c"])}
    rows = {"a": nan["a"], "c": (base["c"], ~gone)}
    for i, data in enumerate((nan, masked, rows)):
        found = columns(data, tmp_path / str(i))
        assert np.array_equal(found["a"].present.numpy(), ~holes)
        assert np.array_equal(found["c"].present.numpy(), ~gone)
        assert np.allclose(found["a"].values.numpy()[~holes], base["a"][~holes])


def test_training_still_refuses_what_is_no_value(tmp_path: Any) -> None:
    """A missing cell of a node that is not partial, and an illegal one of a node that is."""
    text = SMALL.replace("real[2] partial", "real[2]")
    data = small()
    data["a"][3, 1] = np.nan
    with pytest.raises(DataError) as error:
        train(sgdsl.compile(text).program, data, out=tmp_path / "a")
    assert [d.code for d in error.value.diagnostics] == ["E0627"]
    data["c"][5] = 7
    with pytest.raises(DataError) as error:
        train(sgdsl.compile(SMALL).program, data, out=tmp_path / "b")
    assert [d.code for d in error.value.diagnostics] == ["E0626"]


def test_training_answers_with_a_modality_left_out(tmp_path: Any) -> None:
    """posterior(a) is posterior(a, c all missing); log_prob likewise; a sample takes no missing cells."""
    data = small()
    run = train(sgdsl.compile(SMALL).program, data, test=small(10), out=tmp_path / "run")
    without, hidden = run.posterior(a=data["a"]), run.posterior(a=data["a"], c=np.full(40, -1))
    assert np.allclose(without["z"][0], hidden["z"][0], atol=1e-6)
    assert not np.allclose(without["z"][0], run.posterior(**data)["z"][0], atol=1e-4)
    assert np.isfinite(run.log_prob(c=data["c"])).all()
    assert run.sample(3, c=1)["a"].shape == (3, 2)
    with pytest.raises(DataError):
        run.sample(1, a=[np.nan, 1.0])
    assert run.evaluate().bound is not None
