"""Recognition made through loops against networkx's d-separation on the loops written out: plates, sequences, two levels."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import networkx as nx
import pytest

from sgdsl import driver
from sgdsl.base.diagnostics import Diagnostic, DiagnosticError
from sgdsl.base.source import Source
from sgdsl.middle import ir
from sgdsl.middle.copies import Copies
from sgdsl.middle.graphs import factor_graph, let_graph
from sgdsl.middle.singles import Singles
from sgdsl.middle.unrolled import unrolled

ROOT = Path(__file__).parents[2]


class Dice(random.Random):
    def some(self, names: list[str], likely: float) -> list[str]:
        return [n for n in names if self.random() < likely]


@dataclass
class Written:
    """A random model as it is written: one loop of 2 to 9 copies, sometimes with one inside it; a plate, or a sequence that
    reads one or two places back."""

    dice: Dice
    copies: int
    inner: int
    lag: int
    likely: float
    own: str  # weights of each copy's own

    def head(self, name: str) -> str:
        index = {"g": "", "s": "", "a": "[i]", "x": "[i]", "d": "[i, j]"}
        return name + index[name[0]]

    def around(self, name: str, low: int, high: int, lines: list[str]) -> list[str]:
        """Lines of a node, in its loops."""
        if name[0] == "d":
            lines = [f"for j in 1..{self.inner} {{", *lines, "}"]
        return lines if name[0] in "gs" else [f"for i in {low}..{high} {{", *lines, "}"]

    def factor(self, name: str, given: list[str]) -> str:
        own = self.own if name[0] in "adx" else ""
        parents = f" | {', '.join(given)}" if given else ""
        return f"p({self.head(name)}{parents}) = Normal" + (f"(mlp(2){own})" if given else "")

    def lines(self, name: str, role: str, before: list[str], beside: list[str]) -> list[str]:
        """A node with its factor: `before` may be read at its place, `beside` at earlier places of a sequence."""
        found = self.around(name, 1, self.copies, [f"{role} {self.head(name)} : real"])
        if role == "given":
            return found
        given = self.dice.some([self.head(n) for n in before], self.likely)
        back = [self.head(n).replace("i", f"i - {k}") for n in beside for k in range(1, self.lag + 1)]
        back = self.dice.some(back, 0.35) if self.copies > self.lag else []
        if not back:
            return [*found, *self.around(name, 1, self.copies, [self.factor(name, given)])]
        found += self.around(name, 1, self.lag, [self.factor(name, given)])
        return [*found, *self.around(name, self.lag + 1, self.copies, [self.factor(name, [*given, *back])])]


def random_program(seed: int) -> str:
    """Without q; a datum in the loop, and in a plate sometimes one outside that reads all copies."""
    dice = Dice(seed)
    copies, inner, lag = dice.choice((2, 3, 4, 9)), dice.choice((0, 0, 2, 3)), dice.choice((0, 0, 1, 1, 2))
    made = Written(dice, copies, inner, lag, dice.uniform(0.25, 0.6), "[i]" if not lag and dice.random() < 0.2 else "")
    outer = [f"g{n}" for n in range(dice.randint(0, 2))]
    plate = [f"a{n}" for n in range(dice.randint(1, 3))]
    deep = [f"d{n}" for n in range(dice.randint(1, 2))] if inner else []
    lines, before = ["model r"], list[str]()
    for name in (*outer, *plate, *deep):
        level = deep if name in deep else plate
        role = dice.choice(("latent", "latent", "observed", "supervised", "given"))
        lines += made.lines(name, role, before, level if name not in outer else [])
        before.append(name)
    unknown = [
        n for n in (*outer, *plate) if f"latent {n}" in "\n".join(lines) or f"supervised {n}" in "\n".join(lines)
    ]
    seen = dict.fromkeys((*dice.some([*outer, *plate], 0.5), *unknown[:1]))
    lines += made.around("x", 1, copies, ["observed x[i] : real", made.factor("x", [made.head(n) for n in seen])])
    if not lag and dice.random() < 0.4:
        lines += ["observed s : real", made.factor("s", dice.some([*outer, *plate, *deep], 0.6))]
    return "\n".join(lines) + "\n"


def right_program(seed: int) -> str:
    """The first of a seed that can be made: that something is unknown and reaches the data, and no copies need one another
    along two loops, as all of d[i, j] behind one datum would, or along an outer one."""
    for again in count():
        text = random_program(seed + 1000 * again)
        try:
            checked = driver.check(Source("r.sgm", text))
        except DiagnosticError as error:
            if {d.code for d in error.diagnostics if d.severity == "error"} <= {"E0190", "E0405", "E0428"}:
                continue
            raise
        if checked.model.made:
            return text
    raise AssertionError


def written_out(model: ir.Model) -> tuple[nx.DiGraph, nx.DiGraph, dict[str, str]]:
    """p and q over all copies, and the role of each."""
    flat = unrolled(model).model
    lets = let_graph(flat)
    graphs = []
    for factors in (flat.p, flat.q):
        graph = factor_graph(factors, flat, lets)
        found = nx.DiGraph(list(graph.edges))
        found.add_nodes_from(graph)
        graphs.append(found)
    return graphs[0], graphs[1], {n.name: n.role for n in flat.nodes}


@pytest.mark.parametrize("seed", range(90))
def test_what_is_made_through_loops_is_faithful(seed: int) -> None:
    """The joint q of all copies asserts no independence that the posterior of the model written out lacks, also of loops that
    were shortened to find it: every copy is separated from all that is drawn before it, given what it reads."""
    text = right_program(seed)
    p, q, roles = written_out(driver.check(Source("r.sgm", text)).model)
    before = {v for v, role in roles.items() if role in ("observed", "given")}
    for v in nx.lexicographical_topological_sort(q):
        if v in before:
            continue
        reads = set(q.predecessors(v))
        rest = before - reads
        assert not rest or nx.is_d_separator(p, {v}, rest, reads), (v, reads, text)
        before.add(v)


def needed(model: ir.Model) -> Iterator[tuple[str, bool]]:
    """Each parent behind a bar, and whether some copy needs what it stands for, given all that the others stand for. Not the
    index of a loop, and not the own copy beside all of them."""
    copies = Copies(model)
    lets = copies.lets()
    p, _ = copies.factors(model.p, lets)
    short = nx.DiGraph(list(p.edges))
    short.add_nodes_from(p)

    def stands_for(name: str, at: Mapping[str, int]) -> set[str]:
        found = copies.copy(name, at)
        return {found} if found in p else lets.ancestors(found) & set(p)

    for factor in (f for f in model.q if f.made is not None and not f.made.prior):
        node = model.node(factor.node)
        found: dict[str, bool] = {}
        for at in copies.each(factor.axes):
            ends = zip(factor.place, node.axes, strict=True)
            here = copies.named(
                node, (copies.axes[r.axis].short[w] if isinstance(w, int) else at[w.name] for w, r in ends)
            )
            sets = {g: stands_for(g, at) for g in factor.given if g not in {r.name for r in factor.axes}}
            for name, own in sets.items():
                others = [s for g, s in sets.items() if g != name]
                alone = own.difference(*others)
                found.setdefault(name, any(own < s for s in others))
                found[name] |= bool(alone) and not nx.is_d_separator(short, {here}, alone, set().union(*others) - alone)
        yield from ((f"{factor.text}: {name}", need) for name, need in found.items())


def test_parents_are_not_made_for_nothing() -> None:
    """q stays small: of hundreds of parents in 40 random models nearly all are needed. Not all: what one copy needs, all read."""
    found = [n for seed in range(160, 200) for n in needed(driver.check(Source("r.sgm", right_program(seed))).model)]
    assert len(found) > 200
    assert sum(not need for _, need in found) <= len(found) / 100


@pytest.mark.parametrize("seed", range(220, 240))
def test_the_lines_that_are_made_can_stand_in_the_file(seed: int) -> None:
    """What `sgdsl explain` prints compiles to the same module when it is pasted behind the file."""
    text = right_program(seed)
    made = driver.compile_source(Source("r.sgm", text))
    pasted = driver.compile_source(Source("r.sgm", text + "\n".join(made.model.made) + "\n"))
    assert pasted.text == made.text
    assert not pasted.model.made


def notes(text: str) -> list[Diagnostic]:
    found = driver.remarks(driver.check(Source("r.sgm", text)))
    assert {(d.code, d.severity) for d in found} <= {("N0501", "note")}
    return list(found)


def lacking(model: ir.Model) -> set[str]:
    """The nodes with a copy that is not separated from what is drawn before it, given what it reads."""
    p, q, roles = written_out(model)
    of = unrolled(model).copies
    place = {n.name: i for i, n in enumerate(model.nodes)}
    before = {v for v, role in roles.items() if role in ("observed", "given")}
    found = set()
    for v in nx.lexicographical_topological_sort(q, lambda v: (place[of[v][0]], of[v][1])):
        if v in before:
            continue
        reads = set(q.predecessors(v))
        if before - reads and not nx.is_d_separator(p, {v}, before - reads, reads):
            found.add(of[v][0])
        before.add(v)
    return found


@pytest.mark.parametrize("seed", range(240, 300))
def test_a_parent_that_is_left_out_is_noted(seed: int) -> None:
    """The made lines, written in the file, have no note; without one of their parents exactly the nodes have one of which some
    copy lacks it."""
    dice, text = Dice(seed), right_program(seed)
    lines = [line for line in driver.check(Source("r.sgm", text)).model.made if not line.strip().startswith("#")]
    assert notes(text + "\n".join(lines) + "\n") == []
    several = [i for i, line in enumerate(lines) if line.strip().startswith("q(") and " | " in line]
    if not several:
        return
    i = dice.choice(several)
    head, parents = lines[i].split(") = ")[0].split(" | ")
    given = re.split(r", (?![^\[]*\])", parents)
    given.remove(dice.choice(given))
    lines[i] = f"{head} | {', '.join(given)}) = Normal(mlp(2))" if given else f"{head}) = Normal"
    text += "\n".join(lines) + "\n"
    assert {d.message.split("`")[1].split("[")[0] for d in notes(text)} == lacking(
        driver.check(Source("r.sgm", text)).model
    )


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("z[t - 1], h) =", "h) =", "`z[t]` depends on `z[t - 1]`", "write `q(z[t] | h, z[t - 1]) = Normal(mlp(64))`"),
        ("z[t - 1], h) =", "z[t - 1], x[t]) =", "`z[t]` depends on `x[t + 1]` and later", "leave q of this node out"),
        ("q(z[1] | h)", "q(z[1] | x[1])", "`z[1]` depends on `x[2]` and later", "leave q of this node out"),
    ],
)
def test_what_a_written_sequence_assumes(old: str, new: str, message: str, hint: str) -> None:
    """A note says what is missing as the file would name it, and a line to write where one can say it."""
    text = (ROOT / "models/loops/dkf.sgm").read_text(encoding="utf-8")
    assert notes(text) == []
    (note,) = notes(text.replace(old, new))
    assert note.message.startswith(f"in the posterior {message}, and this factor does not read")
    assert hint in note.hint


def test_long_loops_are_inverted_as_short_ones() -> None:
    """10,000 copies cost what 20 do: as many single copies are looked at, and the lines are the same but for the ends."""
    text = (ROOT / "tests/middle/explain/made.sgm").read_text(encoding="utf-8")
    made = []
    for terms in (20, 10_000):
        model = driver.check(Source("m.sgm", text.replace("TERMS  = 6", f"TERMS = {terms}"))).model
        lines = [line.replace(str(terms + 1), "T + 1").replace(str(terms), "T") for line in model.made]
        made.append((len(Singles(model, Copies(model)).of), lines))
    assert made[0] == made[1]


REFUSED = """model m
observed s : real
for i in 1..3 {
for j in 1..3 {
latent z[i, j] : real
p(z[i, j]) = Normal
}
}
p(s | z) = Normal(mlp(4))
"""


def test_what_cannot_be_said_is_refused() -> None:
    """Copies that need one another along two loops, with the place, the reason and the way out."""
    with pytest.raises(DiagnosticError) as raised:
        driver.check(Source("m.sgm", REFUSED + "q auto\n"))
    (found,) = raised.value.diagnostics
    assert found.code == "E0428"
    assert found.notes == (
        "its copies depend on one another along an outer loop, and draws run along the innermost one",
    )
    assert "`q(z[i, j] | …) = …`" in found.hint


PLATE = """model m
observed s : real
latent g : real
p(g) = Normal
for i in 1..4 {
observed x[i] : real
supervised y[i] : class(3)
latent z[i] : real
p(y[i]) = Categorical
p(z[i] | g) = Normal(mlp(4))
p(x[i] | z[i], y[i]) = Normal(mlp(4))
}
p(s | g) = Normal(mlp(4))
"""


@pytest.mark.parametrize(
    ("lines", "q"),
    [
        ("", ["q(g | s, pooled)", "q(y[i] | x[i], g)", "q(z[i] | x[i], g, y[i])"]),
        ("q auto(after)\n", ["q(g | s, pooled)", "q(z[i] | x[i], g)", "q(y[i] | x[i], z[i])"]),
        ("for i in 1..4 {\nq(y[i] | x[i]) = Categorical(mlp(4))\n}\n", ["q(g | s, pooled)", "q(z[i] | x[i], y[i], g)"]),
        ("q(g | s) = Normal(mlp(4))\n", ["q(y[i] | x[i], g)", "q(z[i] | x[i], g, y[i])"]),
    ],
)
def test_a_plate_stays_a_plate(lines: str, q: list[str]) -> None:
    """What ties copies together is drawn before them, so that they are drawn and summed apart: z[i] does not read z[j]; a
    label comes before the latents of its copy, with `after` behind them; written factors stay as they are."""
    model = driver.check(Source("m.sgm", PLATE + lines)).model
    assert [line.strip().split(" = ")[0] for line in model.made if line.strip().startswith("q(")] == q


SEQUENCE = """model m
for t in 1..5 {
observed x[t] : TYPE
latent z[t] : real
p(x[t] | z[t]) = Normal(mlp(4))
}
p(z[1]) = Normal
for t in 2..5 {
p(z[t] | z[t - 1]) = Normal(mlp(4))
}
"""
COUNTED = """model m
observed x : real[2]
KIND k : count(0, 3)
p(k) = Categorical
for i in 1..k {
latent at[i] : real
supervised y[i] : class(3)
p(at[i]) = Normal
p(y[i] | at[i]) = Categorical(mlp(4))
let part[i] = linear(2)(at[i])
}
p(x | at) = Normal(loc = sum(part[*]), scale = 1)
"""
RAGGED = SEQUENCE.replace("..5", "..n").replace("TYPE", "real").replace("model m", "model m\ngiven n : count(1, 5)")
CROSSED = """model m
for i in 1..4 {
latent v[i] : real
p(v[i]) = Normal
}
for c in 1..3 {
latent u[c] : real
p(u[c]) = Normal
for i in 1..4 {
observed x[c, i] : real
p(x[c, i] | u[c], v[i]) = Normal(mlp(4))
}
}
"""


CARRIED = "let later[t] = gru(128)(each[t], later[t + 1])"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            SEQUENCE.replace("TYPE", "real[8]"),
            ["let later[t] = gru(128)(x[t], later[t + 1])", "q(z[1] | later[1])", "q(z[t] | later[t], z[t - 1])"],
        ),
        (
            SEQUENCE.replace("TYPE", "real[1, 16, 16]"),
            ["let each[t] = (conv(32, 64) >> mlp(128))(x[t])", CARRIED, "q(z[t] | later[t], z[t - 1])"],
        ),
        (
            SEQUENCE.replace("TYPE", "real[8] partial"),
            ["let each[t] = mlp(128)(x[t])", CARRIED, "q(z[t] | later[t], z[t - 1])"],
        ),
        (
            COUNTED.replace("KIND", "supervised"),
            ["let earlier[i] = gru(128)(at[i], earlier[i - 1])", "q(at[i] | x, earlier[i - 1])", "q(y[i] | at[i])"],
        ),
        (RAGGED, ["let whole = last(earlier[*])", "q(z[t] | x[t], whole, earlier_2[t - 1])"]),
        (
            CROSSED,
            ["let each[c] = mlp(128)(stack(x[c, *]))", "q(v[i] | pooled, earlier[i - 1], i)",
             "let each_2[c, i] = mlp(128)(x[c, i], v[i])", "q(u[c] | pooled_2[c])"],
        ),
    ],
    ids=["sequence", "maps", "partial", "counted", "ragged", "crossed"],
)  # fmt: skip
def test_what_is_made(text: str, lines: list[str]) -> None:
    """What comes later in a sequence; features of maps and of missing cells; copies that one datum ties together, one after
    another; in `1..k` nothing behind k; two crossed loops."""
    program = driver.compile_source(Source("m.sgm", text))
    made = [re.sub(r"^(q.*\)) = .*", r"\1", line.strip()) for line in program.model.made]
    assert [line for line in lines if line not in made] == []


def test_weights_of_each_copy_are_read_apart() -> None:
    """Where p has weights for each copy, a mean would lose whose reading it is: all stand side by side, in their places."""
    text = PLATE.replace("Normal(mlp(4))\n}", "Normal(mlp(4)[i])\n}")
    q = [f.text.split(" = ")[0] for f in driver.check(Source("m.sgm", text)).model.q]
    assert q == ["q(g | s, x)", "q(y[i] | x[i], g, i)", "q(z[i] | x[i], g, y[i], i)"]


def test_random_models_cover_the_forms() -> None:
    """The tests above would protect little if they met one form only."""
    made = "\n".join(line for seed in range(60) for line in driver.check(Source("r", right_program(seed))).model.made)
    forms = ("let pooled", "let each[i, j]", "let earlier[", "let later[", "[i - 1]", "[i - 2]", ", i)", "q(d0[i, j]")
    assert not [form for form in forms if form not in made]
