"""Samples given values and edits of rows, on hand-written models with known answers; all questions on emitted ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import pytest
import torch

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.runtime import ask
from sgdsl.runtime.batch import NodeInfo
from sgdsl.runtime.load import load
from sgdsl.runtime.queries import Parameters, Queries, Values
from tests.runtime.tables import P_CHAIN, P_ROOTS, Q_LABEL_LAST, SIZES, Assignment, Graph, Tables, draws, marginal


@pytest.fixture(autouse=True)
def _no_gradients() -> object:
    with torch.no_grad():
        yield


# --- sample ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [P_CHAIN, P_ROOTS], ids=["held below", "held root"])
@pytest.mark.parametrize("held", [{}, {"y": 1}, {"x": 3}])
def test_samples_are_from_p_given_what_is_held(p: Graph, held: Assignment) -> None:
    """Protects conditional samples: shares of each node as by enumeration within 0.045 (4 standard errors at 2,000 draws) with
    1,000 candidates, also where the held node has ancestors, which ancestral draws would ignore."""
    model, n = Tables(p, Q_LABEL_LAST), 2000
    values = {k: torch.full((n,), v + (model.FIRST if k == "y" else 0)) for k, v in held.items()}
    found = ask.sample(model, n, values, draws(), candidates=1000)
    exact = model.joint("p", held)
    for node, drawn in found.items():
        assert drawn.shape == (n,)
        first = model.NODES[node].first
        shares = torch.bincount(drawn - first, minlength=SIZES[node]).double() / n
        torch.testing.assert_close(shares, marginal(exact, node), rtol=0, atol=0.045)


def test_samples_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects many samples with a held descendant, made some at a time: each row keeps what it holds."""
    monkeypatch.setattr(ask, "ENTRIES", 700)
    model = Tables(P_CHAIN, Q_LABEL_LAST)
    held = torch.arange(50) % 3 + model.FIRST
    found = ask.sample(model, 50, {"y": held}, draws())
    assert torch.equal(found["y"], held)
    assert {n: v.shape for n, v in found.items()} == dict.fromkeys(SIZES, (50,))


# --- analogy ---------------------------------------------------------------------------------------------------


class Edited(Queries):
    """p(u) p(y) p(b | y) p(z | y, u) p(x | z, b): u is kept, b, z and x follow y."""

    NODES: ClassVar[Mapping[str, NodeInfo]] = {
        "u": NodeInfo("latent", "real", (), (), (), "normal", "normal", "", (), ("x",)),
        "y": NodeInfo("supervised", "class", (3,), (), (), "categorical", "categorical", "", (), ("x",)),
        "b": NodeInfo("latent", "binary", (), (), (), "bernoulli", "bernoulli", "", ("y",), ("x",)),
        "z": NodeInfo("latent", "real", (), (), (), "normal", "normal", "", ("y", "u"), ("x",)),
        "x": NodeInfo("observed", "binary", (), (2,), (2,), "bernoulli", "", "", ("z", "b"), ()),
    }
    ORDER_P = ("u", "y", "b", "z", "x")
    ORDER_Q = ("u", "y", "b", "z")

    def parameters_p(self, node: str, v: Values) -> Parameters:
        match node:
            case "u":
                return 0.0, 1.0
            case "y":
                return (torch.zeros(1, 1, 3),)
            case "b":
                return (torch.tensor([-0.5, 0.4, 3.0])[v["y"]],)
            case "z":
                return 10.0 * v["y"] + v["u"], 0.5
        b = torch.tensor([0.0, 100.0])[v["b"].long()]  # a table: reads hard values alone
        return (torch.stack((v["z"], v["z"] + b), -1) / 100,)

    def parameters_q(self, node: str, v: Values) -> Parameters:
        x = v["x"].sum(-1)
        return {
            "u": (0.25 * x, 1.0), "z": (x - 7, 1.0), "y": (torch.ones(1, 1, 3),), "b": (x - 0.5,)
        }[node]  # fmt: skip


def test_analogy_edits_one_node() -> None:
    """Protects analogies: what does not descend from y keeps its inferred value, what does is replaced by its mean (a
    binary node by its likeliest value), and x is shown as its probability."""
    x = torch.tensor([[[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]]])
    found = ask.analogy(Edited(), {"x": x}, "y", draws(), "x")
    u = 0.25 * x[0].sum(-1)
    z = u[:, None] + torch.tensor([0.0, 10.0, 20.0])
    b = torch.tensor([0.0, 100.0, 100.0]).expand_as(z)
    assert found.shape == (3, 3, 2)
    torch.testing.assert_close(found, (torch.stack((z, z + b), -1) / 100).sigmoid())
    assert torch.equal(found, ask.analogy(Edited(), {"x": x}, "y", draws(5), "x"))


def test_descendants_are_transitive() -> None:
    """Protects the choice of what is redrawn."""
    parents = {n: i.parents_p for n, i in Edited.NODES.items()}
    assert ask.descendants(Edited.ORDER_P, parents, "y") == {"b", "z", "x"}
    assert ask.descendants(Edited.ORDER_P, parents, "u") == {"z", "x"}
    assert ask.descendants(Edited.ORDER_P, parents, "x") == set()


# --- an emitted model ------------------------------------------------------------------------------------------

MIXED = """model mixed
observed   x : real[3]
observed   n : count[2]
supervised y : class(3)
supervised c : binary
latent     z : real[2]
p(y)        = Categorical
p(c)        = Bernoulli(0.3)
p(z | y)    = Normal(table)
p(x | z, c) = Normal(mlp(8))
p(n | z)    = Poisson(mlp(8))
q(z | x, n) = Normal(mlp(8))
q(y | z)    = Categorical(mlp(8))
q(c | x, z) = Bernoulli(mlp(8))
"""


def test_an_emitted_model_answers() -> None:
    """Protects the fit between this module and emitted text: shapes, ranges and certainty of known labels in every
    answer, and log_prob of a single draw against log_p and log_q."""
    torch.manual_seed(0)
    model = load(driver.compile_source(Source("mixed.sgm", MIXED)).text, "mixed_asked").Model()
    values = {
        "x": torch.randn(1, 4, 3),
        "n": torch.tensor([[[0.0, 3.0]] * 4]),
        "y": torch.tensor([[2, 0, 1, 0]]),
        "c": torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
    }
    known = {"y": torch.tensor([True, True, False, False]), "c": torch.tensor([True, False, False, True])}
    belief = ask.posterior(model, values, known, draws(), 50)
    assert belief["y"].shape == (4, 3)  # type: ignore[union-attr]
    assert torch.equal(belief["y"][:2], torch.eye(3)[[2, 0]])
    assert torch.equal(belief["c"][[0, 3]], torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    torch.testing.assert_close(belief["c"].sum(-1), torch.ones(4))  # type: ignore[union-attr]
    assert [part.shape for part in belief["z"]] == [(4, 2), (4, 2)]
    assert (belief["z"][1] > 0).all()

    drawn = model.draw_q(values, known, draws(3), 1)
    one = sum(model.log_p(drawn.values).values()) - drawn.log_r
    torch.testing.assert_close(ask.log_prob(model, values, known, draws(3), 1), one[0])
    log_q = model.log_q(drawn.values)
    by_hand = log_q["z"] + torch.where(known["y"], 0.0, log_q["y"]) + torch.where(known["c"], 0.0, log_q["c"])
    torch.testing.assert_close(drawn.log_r, by_hand)

    found = ask.sample(model, 6, {"y": torch.arange(6) % 3}, draws())
    assert {n: tuple(v.shape) for n, v in found.items()} == {
        "x": (6, 3),
        "n": (6, 2),
        "y": (6,),
        "c": (6,),
        "z": (6, 2),
    }
    assert torch.equal(found["y"], torch.arange(6) % 3)
    assert ask.analogy(model, values, "y", draws(), "x").shape == (4, 3, 3)
    assert (ask.analogy(model, values, "c", draws(), "n") > 0).all()


def test_held_data_moves_latents_of_an_emitted_model() -> None:
    """Protects sampling importance resampling on emitted text: p(z | x) of a linear Gaussian model in closed form, mean
    within 4 standard errors and the error of 400 candidates (0.05)."""
    text = "model line\nobserved x : real\nlatent z : real\np(z) = Normal\np(x | z) = Normal(2 * z, 1)\n"
    text += "q(z | x) = Normal(linear)\n"
    model = load(driver.compile_source(Source("line.sgm", text)).text, "line_asked").Model()
    found = ask.sample(model, 4000, {"x": torch.full((4000,), 1.5)}, draws(), candidates=400)
    assert float(found["z"].mean()) == pytest.approx(2 * 1.5 / 5, abs=0.08)
    assert float(found["z"].std()) == pytest.approx(1 / math.sqrt(5), abs=0.05)
    assert torch.equal(found["x"], torch.full((4000,), 1.5))
