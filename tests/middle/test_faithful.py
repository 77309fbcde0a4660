"""Notes on a written q: independences that the posterior lacks, judged by networkx, and the line that mends them."""

from __future__ import annotations

import random

import networkx as nx
import pytest

from sgdsl import driver
from sgdsl.base.source import Source

M2 = """model m2
observed   x : unit[16]
supervised y : class(3)
latent     z : real[2]
p(y)        = Categorical
p(z)        = Normal
p(x | y, z) = Bernoulli(mlp(8))
"""
CHAIN = """model chain
latent z1 : real
latent z2 : real
latent z3 : real
observed x1 : real
observed x3 : real
p(z1)      = Normal
p(z2 | z1) = Normal(mlp(4))
p(z3 | z2) = Normal(mlp(4))
p(x1 | z1) = Normal(mlp(4))
p(x3 | z3) = Normal(mlp(4))
"""


def notes(text: str) -> list[tuple[str, tuple[str, ...], str]]:
    """(message, reasons, line to write) of each note."""
    found = driver.remarks(driver.check(Source("m.sgm", text)))
    assert {(d.code, d.severity) for d in found} <= {("N0501", "note")}
    return [(d.message, d.notes, d.hint.split("`")[1]) for d in found]


@pytest.mark.parametrize(
    ("text", "reasons", "line"),
    [
        (
            M2 + "q(z | x) = Normal(mlp(4))\nq(y) = Categorical(learned)\n",
            ("x: a child of y in p",),
            "q(y | x) = …",
        ),
        (
            M2 + "q(y | x) = Categorical(mlp(5))\nq(z | x) = Normal(mlp(4, act = tanh))\n",
            ("y: shares the child x with z: each explains the other away",),
            "q(z | x, y) = Normal(mlp(4, act = tanh))",
        ),
        (
            CHAIN + "q(z1 | x1) = Normal(mlp(4))\nq(z2 | z1, x3) = Normal(mlp(4))\nq(z3 | z2, x3) = Normal(mlp(4))\n",
            ("x3: reaches z1 through z2, z3, drawn later",),
            "q(z1 | x1, x3) = Normal(mlp(4))",
        ),
        (
            CHAIN + "q(z1 | x1, x3) = Normal(mlp(4))\nq(z2 | x3) = Normal(mlp(4))\nq(z3 | z2, x3) = Normal(mlp(4))\n",
            ("z1: a parent of z2 in p",),
            "q(z2 | x3, z1) = Normal(mlp(4))",
        ),
        (
            M2 + "let h = mlp(4)(x)\nq(y | h) = Categorical(mlp(5))\nq(z | h) = Normal(loc = mlp(4)(h), scale = 1)\n",
            ("y: shares the child x with z: each explains the other away",),
            "q(z | h, y) = …",
        ),
    ],
    ids=["input", "explaining-away", "chain", "parent", "values"],
)
def test_a_missing_parent_has_its_reason_and_its_line(text: str, reasons: tuple[str, ...], line: str) -> None:
    ((_, found, hint),) = [n for n in notes(text) if n[2].startswith(line.split("|")[0])]
    assert (found, hint) == (reasons, line)


@pytest.mark.parametrize(
    "q",
    [
        "q(y | x) = Categorical(mlp(4))\nq(z | x, y) = Normal(mlp(4))\n",
        "q(z | x) = Normal(mlp(4))\nq(y | x, z) = Categorical(mlp(4))\n",
        "let h = mlp(4)(x)\nq(y | h) = Categorical(mlp(4))\nlet g = mlp(4)(h, y)\nq(z | g) = Normal(mlp(4))\n",
        "q(y | x) = Categorical(mlp(4))\n",
        "q auto\n",
    ],
)
def test_a_faithful_q_has_no_note(q: str) -> None:
    """Whichever order; lets stand for what they read; made factors need none."""
    assert notes(M2 + q) == []


def test_a_written_factor_beside_a_made_label_is_noted() -> None:
    """The label is made first, so it is the written factor that does not read it."""
    ((message, _, line),) = notes(M2 + "q(z | x) = Normal(mlp(4))\n")
    assert message == "in the posterior `z` depends on `y`, and this factor does not read it"
    assert line == "q(z | x, y) = Normal(mlp(4))"
    assert notes(M2 + "q auto(after)\nq(z | x) = Normal(mlp(4))\n") == []


def random_program(seed: int) -> str:
    """Three to five unknown nodes, any p, any acyclic q."""
    dice = random.Random(seed)
    unknown = [f"v{i}" for i in range(dice.randint(3, 5))]
    lines = ["model r", "observed x : real", "observed w : real", "given g : real"]
    lines += [f"{dice.choice(('latent', 'supervised'))} {v} : real" for v in unknown]

    def factor(side: str, node: str, names: list[str]) -> str:
        given = [n for n in names if dice.random() < 0.5]
        return f"{side}({node}{' | ' if given else ''}{', '.join(given)}) = Normal({'mlp(2)' if given else 'learned'})"

    order = dice.sample(unknown, len(unknown))
    lines += [factor("p", v, [*order[:i], "g"]) for i, v in enumerate(order)]
    lines += [f"p(x | {', '.join(unknown[:2])}) = Normal(mlp(2))", factor("p", "w", unknown[1:])]
    order = dice.sample(unknown, len(unknown))
    lines += [factor("q", v, [*order[:i], "x", "w", "g"]) for i, v in enumerate(order)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("seed", range(60))
def test_notes_are_given_exactly_where_a_factor_is_unfaithful(seed: int) -> None:
    """v is noted ⇔ what comes before it is not d-separated from it given its parents in q; and following every line
    leaves no note."""
    text = random_program(seed)
    checked = driver.check(Source("m.sgm", text))
    found = {d.message.split("`")[1]: d for d in driver.remarks(checked)}
    known = {"x", "w", "g"}
    p = nx.DiGraph(list(checked.graphs.p.edges))
    p.add_nodes_from(checked.graphs.p)
    for node in checked.graphs.order("q"):
        if node in known:
            continue
        reads = set(checked.graphs.q.predecessors(node))
        rest = known - reads
        faithful = not rest or nx.is_d_separator(p, {node}, rest, reads)
        assert (node in found) == (not faithful)
        known.add(node)
    for node, note in found.items():
        head = note.hint.split("`")[1].split(" = ")[0]
        text = (
            "\n".join(f"{head} = Normal(mlp(2))" if t.startswith(f"q({node}") else t for t in text.splitlines()) + "\n"
        )
    assert driver.remarks(driver.check(Source("m.sgm", text))) == ()
