"""Random programs of tables against the definitions of the bounds, evaluated by an oracle that knows no plan."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor

from sgdsl.base.diagnostics import DiagnosticError
from sgdsl.runtime.batch import make_batch
from tests.objective.by_definition import Node
from tests.objective.enumerated import BOUNDS, Tables

MOST = 20_000  # outcomes of a case
BY = ("enumerate", "score", "score", "score(baseline = mean)", "score(baseline = net)", "sum_and_sample")


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def nodes_of(seed: int, labels_last: bool = False) -> list[Node]:
    """Two to four unknown nodes of any roles, in any order on each side, beside x and perhaps a condition."""
    dice = random.Random(seed)
    names = [f"v{i}" for i in range(dice.randint(3, 5) if labels_last else dice.randint(2, 4))]
    roles = {v: dice.choice(("latent", "supervised")) for v in names}
    if labels_last:
        roles |= dict.fromkeys(names[:2], "latent") | dict.fromkeys(names[-2:], "supervised")
    always = ["x", "g"] if dice.random() < 0.3 else ["x"]
    orders = {side: dice.sample(names, len(names)) for side in "pq"}

    def some(among: Sequence[str], likely: float) -> tuple[str, ...]:
        return tuple(a for a in among if dice.random() < likely)

    found = [Node("g", "given", 2)] if "g" in always else []
    found.append(Node("x", "observed", 2, some(names, 0.7) or (names[0],)))
    for v in names:
        above = {side: orders[side][: orders[side].index(v)] for side in "pq"}
        p = some(above["p"], 0.5) + some(always[1:], 0.4)
        q = some(above["q"], 0.6) + some(always, 0.7)
        found.append(Node(v, roles[v], 2 if dice.random() < 0.8 else 3, p, q, dice.choice(BY)))
    return found


def grouped_nodes(seed: int) -> list[Node]:
    """Two or three drawn latents, a label behind each of two, and two more nodes of any role that read any of what is before."""
    dice = random.Random(seed)
    latents = [f"z{i}" for i in range(dice.choice((2, 3, 3)))]
    q = {v: (*(u for u in latents[:i] if dice.random() < 0.15), "x") for i, v in enumerate(latents)}
    q |= {"y0": (latents[0],), "y1": (latents[1],)}
    for v in ("u", "v"):
        above = [a for a in q if a[0] != "y" or dice.random() < 0.3]
        q[v] = tuple(dice.sample(above, dice.choice((1, 2, 2))))
    roles = dict.fromkeys(q, "latent") | {"y0": "supervised", "y1": "supervised"}
    roles |= {v: dice.choice(("latent", "latent", "supervised")) for v in ("u", "v")}
    order = dice.sample(list(q), len(q))
    p = {v: tuple(a for a in order[: order.index(v)] if dice.random() < 0.3) for v in order}
    by = dict.fromkeys(latents, "score") | {v: dice.choice(BY) for v in ("u", "v")} | {"y0": "", "y1": ""}
    x = tuple(v for v in order if dice.random() < 0.5) or (order[0],)
    return [Node("x", "observed", 2, x), *(Node(v, roles[v], 2, p[v], q[v], by[v]) for v in q)]


def built(nodes: Sequence[Node], bound: str, samples: int) -> Tables:
    """Nodes that cannot be summed and sampled here are enumerated; a single sample has no leave-one-out baseline."""
    by = {n.name: "score(baseline = mean)" if samples == 1 and n.by == "score" else n.by for n in nodes}
    while True:
        written = [Node(n.name, n.role, n.size, n.p, n.q, by[n.name]) for n in nodes]
        try:
            return Tables(written, bound, samples)
        except DiagnosticError as error:
            refused = {d.message.split("`")[1] for d in error.diagnostics if d.code == "E0501"}
            assert refused, "only what is refused may be changed"
            by |= dict.fromkeys(refused, "enumerate")


def patterns(nodes: Sequence[Node], seed: int) -> list[dict[str, int]]:
    """Every subset of the labels, with values."""
    dice = random.Random(seed)
    names = [n for n in nodes if n.role == "supervised"]
    return [{n.name: dice.randrange(n.size) for n in c} for k in range(len(names) + 1) for c in combinations(names, k)]


def check(nodes: Sequence[Node], bound: str, samples: int, seed: int) -> int:
    """How many patterns had few enough outcomes."""
    tables, runs = built(nodes, bound, samples), 0
    for known in patterns(nodes, seed):
        if tables.outcomes(known) <= MOST:
            found = tables.compare(known)
            torch.testing.assert_close(found.bound, found.expected, rtol=1e-10, atol=1e-10)
            torch.testing.assert_close(found.gradient, found.expected_gradient, rtol=1e-9, atol=1e-10)
            runs += 1
    return runs


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("samples", [1, 2])
def test_value_and_gradient_of_random_programs(bound: str, samples: int) -> None:
    """Protects the whole path from graph to gradient: E[bound] and E[∇ objective] over all draws are those of the definition,
    for every estimator that is unbiased, every baseline, every pattern of labels."""
    assert sum(check(nodes_of(seed), bound, samples, seed) for seed in range(12)) > 20


def test_three_samples() -> None:
    """The same at S = 3, where a leave-one-out estimate has weights of its own."""
    assert sum(check(nodes_of(seed), bound, 3, seed) for seed in range(5) for bound in BOUNDS) > 20


def test_random_programs_with_groups() -> None:
    """The same where weights fall into groups and draws are recombined, what no label weighs among them."""
    runs = 0
    for seed in range(24):
        tables = built(grouped_nodes(seed), "snis", 2)
        for known in patterns(list(tables.nodes.values()), seed):
            if len(tables.definition.groups(known)) > 1 and tables.outcomes(known) <= MOST:
                found = tables.compare(known)
                torch.testing.assert_close(found.bound, found.expected, rtol=1e-10, atol=1e-10)
                torch.testing.assert_close(found.gradient, found.expected_gradient, rtol=1e-9, atol=1e-10)
                runs += 1
    assert runs > 20


class OfTheParents:
    """Draws that are a function of the entry's logits and the number of the sample alone."""

    def categorical(self, size: Sequence[int], logits: Tensor) -> Tensor:
        at = logits.detach().double().expand(*size, -1)
        salt = torch.where(at.isfinite(), at, 0.0).sin().sum(-1) * 1e4 + torch.arange(size[0])[:, None] * 0.377
        uniform = salt - salt.floor()
        return (at.softmax(-1).cumsum(-1) < uniform[..., None]).sum(-1).clamp(max=at.shape[-1] - 1)

    def resample(self, size: Sequence[int], log_w: Tensor) -> Tensor:
        return self.categorical(size, log_w.t()[None])


@pytest.mark.parametrize("bound", BOUNDS)
def test_rows_of_all_patterns_in_one_batch_are_rows_alone(bound: str) -> None:
    """Protects levels of rows that know different labels: neither a row's bound nor its gradient depends on its batch."""
    for seed in range(6):
        tables = built(grouped_nodes(seed), bound, 2)
        rows = [p for p in patterns(list(tables.nodes.values()), seed) for _ in range(2)]
        random.Random(seed).shuffle(rows)
        together = together_of(tables, rows)
        alone = [tables.step(OfTheParents(), 1, known) for known in rows]
        torch.testing.assert_close(together.bound, torch.cat([s.bound for s in alone]))
        single = sum((tables.gradient(s.objective.sum()) for s in alone), torch.zeros(()))
        torch.testing.assert_close(tables.gradient(together.objective.sum()), single, rtol=1e-8, atol=1e-9)


def together_of(tables: Tables, rows: Sequence[Mapping[str, int]]) -> Any:
    """One step on rows of these labels."""
    labels = [n for n, node in tables.nodes.items() if node.role == "supervised"]
    values = {n: torch.ones(len(rows), dtype=torch.int64) for n, node in tables.nodes.items() if not node.inferred}
    values |= {n: torch.tensor([known.get(n, 0) for known in rows]) for n in labels}
    masks = {n: torch.tensor([n in known for known in rows]) for n in labels}
    return tables.model(make_batch(tables.model, values, masks), OfTheParents())
