"""What a trained model can be asked, on hand-written models whose exact answers are known by enumeration or in closed form."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.runtime import ask
from sgdsl.runtime.batch import NodeInfo
from sgdsl.runtime.densities import normal_log_prob
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load
from sgdsl.runtime.queries import Parameters, Queries, Values

SIZES = {"x": 4, "y": 3, "z": 5}
ROLES = {"x": "observed", "y": "supervised", "z": "latent"}
Graph = Mapping[str, tuple[str, ...]]
Assignment = dict[str, int]
P_CHAIN: Graph = {"z": (), "y": ("z",), "x": ("y", "z")}
P_ROOTS: Graph = {"y": (), "z": ("y",), "x": ("y", "z")}
Q_LABEL_LAST: Graph = {"z": ("x",), "y": ("x", "z")}
Q_LABEL_FIRST: Graph = {"y": ("x",), "z": ("x", "y")}


def draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


class Tables(Queries):
    """x, y, z finite, every factor a table of logits [parents …, values]; y counts from 2."""

    FIRST = 2

    def __init__(self, p: Graph, q: Graph) -> None:
        super().__init__()
        self.graphs = {"p": p, "q": q}
        self.NODES = {n: self.info(n, p.get(n, ()), q.get(n, ())) for n in SIZES}  # type: ignore[misc]
        self.ORDER_P, self.ORDER_Q = tuple(p), tuple(q)  # type: ignore[misc]
        generator = torch.Generator().manual_seed(4)
        self.tables = {
            (side, n): 2 * torch.randn(*(SIZES[a] for a in parents), SIZES[n], generator=generator, dtype=torch.float64)
            for side, graph in self.graphs.items()
            for n, parents in graph.items()
        }

    def info(self, node: str, p: tuple[str, ...], q: tuple[str, ...]) -> NodeInfo:
        support, sizes = ("range", (2, 4)) if node == "y" else ("class", (SIZES[node],))
        family_q = "" if node == "x" else "categorical"
        return NodeInfo(ROLES[node], support, sizes, (), (), "categorical", family_q, "", p, q)

    def parameters_p(self, node: str, v: Values) -> Parameters:
        return self.parameters_of("p", node, v)

    def parameters_q(self, node: str, v: Values) -> Parameters:
        return self.parameters_of("q", node, v)

    def parameters_of(self, side: str, node: str, v: Values) -> Parameters:
        parents = self.graphs[side][node]
        index = tuple(v[a] - (self.FIRST if a == "y" else 0) for a in parents)
        return (self.tables[side, node][index] if index else self.tables[side, node][None, None],)

    # --- exact, over indices from 0 ------------------------------------------------------------------------

    def mass(self, side: str, full: Assignment, nodes: tuple[str, ...]) -> float:
        """The product of factors of some nodes at one assignment."""
        result = 1.0
        for n in nodes:
            row = self.tables[side, n][tuple(full[a] for a in self.graphs[side][n])]
            result *= float(row.softmax(-1)[full[n]])
        return result

    def joint(self, side: str, held: Assignment) -> dict[tuple[int, ...], float]:
        """Mass of every assignment (x, y, z) that agrees with what is held."""
        order = tuple(self.graphs[side])
        found = {}
        for values in itertools.product(*(range(SIZES[n]) for n in SIZES)):
            full = dict(zip(SIZES, values, strict=True))
            if all(full[n] == v for n, v in held.items()):
                found[values] = self.mass(side, full, order)
        return found


def marginal(joint: Mapping[tuple[int, ...], float], node: str) -> Tensor:
    """Normalised probabilities of one node."""
    at = list(SIZES).index(node)
    mass = torch.zeros(SIZES[node], dtype=torch.float64)
    for values, m in joint.items():
        mass[values[at]] += m
    return mass / mass.sum()


def tables_data(x: int, y: int, known: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    values = {"x": torch.tensor([[x]]), "y": torch.tensor([[y + Tables.FIRST]])}
    return values, {"y": torch.tensor([known])}


@pytest.fixture(autouse=True)
def _no_gradients() -> object:
    with torch.no_grad():
        yield


# --- posterior -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("q", [Q_LABEL_LAST, Q_LABEL_FIRST], ids=["label last", "label first"])
@pytest.mark.parametrize("known", [False, True])
def test_posterior_is_q_given_the_labels(q: Graph, known: bool) -> None:
    """Protects beliefs: with 40,000 draws q(· | x, labels) by enumeration within 0.02 (4 standard errors of a weighted
    share), also of a latent that the label follows, whose draws the weights depend on."""
    model = Tables(P_CHAIN, q)
    values, masks = tables_data(2, 1, known)
    found = ask.posterior(model, values, masks, draws(), 40_000)
    exact = model.joint("q", {"x": 2, **({"y": 1} if known else {})})
    for node in ("y", "z"):
        belief = found[node]
        assert isinstance(belief, Tensor)
        assert belief.shape == (1, SIZES[node])
        torch.testing.assert_close(belief[0], marginal(exact, node), rtol=0, atol=0.02)
    if known:
        assert torch.equal(found["y"], torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64))


def test_posterior_without_drawn_parents_is_exact() -> None:
    """Protects the label of M2: one draw gives q(y | x) itself, not a one-hot."""
    model = Tables(P_CHAIN, Q_LABEL_FIRST)
    found = ask.posterior(model, *tables_data(3, 0, False), draws(), 1)
    torch.testing.assert_close(found["y"], model.tables["q", "y"][3].softmax(-1)[None])


def test_rows_are_apart() -> None:
    """Protects rows with and without a label in one question from each other."""
    model = Tables(P_CHAIN, Q_LABEL_LAST)
    values = {"x": torch.tensor([[2, 2, 0]]), "y": torch.tensor([[3, 3, 4]])}
    found = ask.posterior(model, values, {"y": torch.tensor([True, False, True])}, draws(), 40_000)
    for row, held in enumerate(({"x": 2, "y": 1}, {"x": 2}, {"x": 0, "y": 2})):
        for node in ("y", "z"):
            belief = found[node]
            assert isinstance(belief, Tensor)
            torch.testing.assert_close(belief[row], marginal(model.joint("q", held), node), rtol=0, atol=0.02)


class Gaussian(Queries):
    """z ~ N(0, 1), x | z ~ N(2 z, 0.5) twice; q(z | x) exact, or wider; u | z ~ N(z, 0.1) in q, its copy in p."""

    WIDER = 1.0
    NODES = {
        "z": NodeInfo("latent", "real", (), (), (), "normal", "normal", "reparam", (), ("x",)),
        "u": NodeInfo("latent", "real", (), (), (), "normal", "normal", "reparam", ("z",), ("z",)),
        "x": NodeInfo("observed", "real", (), (2,), (2,), "normal", "", "", ("z",), ()),
    }
    ORDER_P = ("z", "u", "x")
    ORDER_Q = ("z", "u")

    def parameters_p(self, node: str, v: Values) -> Parameters:
        return {"z": (0.0, 1.0), "u": (v.get("z", 0.0), 0.1), "x": (2 * v["z"][..., None] if "z" in v else 0.0, 0.5)}[node]

    def parameters_q(self, node: str, v: Values) -> Parameters:
        if node == "u":
            return v["z"], 0.1
        precision = 1 + 2 * 4 / 0.25
        return 2 / 0.25 * v["x"].sum(-1) / precision, self.WIDER / math.sqrt(precision)


X = torch.tensor([[[0.3, 0.9], [-2.0, -2.2]]], dtype=torch.float64)


def test_posterior_moments_by_total_variance() -> None:
    """Protects mean and standard deviation: exact from one draw where the parents are not drawn; below a draw the two
    variances add up, within 2 % at 40,000 draws."""
    model = Gaussian()
    one = ask.posterior(model, {"x": X}, {}, draws(), 1)
    loc, scale = 8 * X[0].sum(-1) / 33, 1 / math.sqrt(33)
    torch.testing.assert_close(one["z"], (loc, torch.full_like(loc, scale)))
    mean, deviation = ask.posterior(model, {"x": X}, {}, draws(), 40_000)["u"]
    torch.testing.assert_close(mean, loc, rtol=0, atol=4 * scale / 200)
    torch.testing.assert_close(deviation, torch.full_like(loc, math.sqrt(scale**2 + 0.01)), rtol=0.02, atol=0)


# --- log_prob --------------------------------------------------------------------------------------------------


def gaussian_log_prob(x: Tensor) -> Tensor:
    covariance = 4 * torch.ones(2, 2, dtype=x.dtype) + 0.25 * torch.eye(2, dtype=x.dtype)
    return torch.distributions.MultivariateNormal(torch.zeros(2, dtype=x.dtype), covariance).log_prob(x)


def test_log_prob_of_the_exact_proposal_is_exact() -> None:
    """Protects log p − log r: with q the true posterior one draw gives log p(x), a closed form, to 1e-10."""
    torch.testing.assert_close(ask.log_prob(Gaussian(), {"x": X}, {}, draws(), 1), gaussian_log_prob(X[0]))


def test_log_prob_converges_and_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the estimator with a wider proposal: below the exact value in the mean, within 0.02 at 20,000 draws, also
    when draws are made some at a time."""
    monkeypatch.setattr(Gaussian, "WIDER", 2.0)
    exact = gaussian_log_prob(X[0])
    few = torch.stack([ask.log_prob(Gaussian(), {"x": X}, {}, draws(s), 2) for s in range(200)]).mean(0)
    assert (few < exact).all()
    torch.testing.assert_close(ask.log_prob(Gaussian(), {"x": X}, {}, draws(), 20_000), exact, rtol=0, atol=0.02)
    monkeypatch.setattr(ask, "ENTRIES", 2 * 300)
    torch.testing.assert_close(ask.log_prob(Gaussian(), {"x": X}, {}, draws(), 20_000), exact, rtol=0, atol=0.02)


@pytest.mark.parametrize("q", [Q_LABEL_LAST, Q_LABEL_FIRST], ids=["label last", "label first"])
@pytest.mark.parametrize("known", [False, True])
def test_log_prob_of_tables(q: Graph, known: bool) -> None:
    """Protects labels among the data: log p(x) or log p(x, y) by enumeration, within 0.03 at 20,000 draws."""
    model = Tables(P_CHAIN, q)
    exact = sum(model.joint("p", {"x": 2, **({"y": 1} if known else {})}).values())
    found = ask.log_prob(model, *tables_data(2, 1, known), draws(), 20_000)
    assert float(found) == pytest.approx(math.log(exact), abs=0.03)


# --- sample ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [P_CHAIN, P_ROOTS], ids=["held below", "held root"])
@pytest.mark.parametrize("held", [{}, {"y": 1}, {"x": 3}])
def test_samples_are_from_p_given_what_is_held(p: Graph, held: Assignment) -> None:
    """Protects conditional samples: shares of each node as by enumeration within 0.03 (4 standard errors at 5,000 draws) with 1,000
    candidates, also where the held node has ancestors, which ancestral draws would ignore."""
    model, n = Tables(p, Q_LABEL_LAST), 5000
    values = {k: torch.full((n,), v + (model.FIRST if k == "y" else 0)) for k, v in held.items()}
    found = ask.sample(model, n, values, draws(), candidates=1000)
    exact = model.joint("p", held)
    for node, drawn in found.items():
        assert drawn.shape == (n,)
        first = model.NODES[node].first
        shares = torch.bincount(drawn - first, minlength=SIZES[node]).double() / n
        torch.testing.assert_close(shares, marginal(exact, node), rtol=0, atol=0.03)


def test_samples_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects many samples with a held descendant, made some at a time: each row keeps what it holds."""
    monkeypatch.setattr(ask, "ENTRIES", 700)
    model = Tables(P_CHAIN, Q_LABEL_LAST)
    held = torch.arange(50) % 3 + model.FIRST
    found = ask.sample(model, 50, {"y": held}, draws())
    assert torch.equal(found["y"], held)
    assert {n: v.shape for n, v in found.items()} == {n: (50,) for n in SIZES}


# --- analogy ---------------------------------------------------------------------------------------------------


class Edited(Queries):
    """p(u) p(y) p(b | y) p(z | y, u) p(x | z, b): u is kept, b, z and x follow y."""

    NODES = {
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
    assert {n: tuple(v.shape) for n, v in found.items()} == {"x": (6, 3), "n": (6, 2), "y": (6,), "c": (6,), "z": (6, 2)}
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
    weights = normal_log_prob(found["x"], 2 * found["z"], torch.ones(()))
    assert weights.isfinite().all()
