"""Random .sgm programs of finite unknown nodes: a seed comes in, the text of a program goes out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

TYPES = ("class(2)", "class(3)", "binary", "count(1, 2)", "binary[2]", "class(2)[2]")
WEIGHTS = (5, 3, 4, 2, 1, 1)
OBSERVED = ("class(3)", "binary[2]", "real[2]", "unit[3]")
FAMILIES = {
    "class": "Categorical",
    "count": "Categorical",
    "binary": "Bernoulli",
    "unit": "Bernoulli",
    "real": "Normal",
}


@dataclass(slots=True)
class Writer:
    """Chooses and writes; `types` by node, `lines` of the program so far."""

    dice: random.Random
    types: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def declare(self, name: str, role: str, kind: str) -> None:
        self.types[name] = kind
        self.lines.append(f"{role} {name} : {kind}")

    def subset(self, names: Sequence[str], likely: float) -> list[str]:
        return [n for n in names if self.dice.random() < likely]

    def done(self, unknown: Sequence[str], side: str) -> list[str]:
        """The unknown nodes that have a factor on this side already."""
        return [v for v in unknown if any(line.startswith((f"{side}({v})", f"{side}({v} |")) for line in self.lines)]

    def network(self) -> str:
        return self.dice.choice(("linear", "mlp(2, act = tanh)", "mlp(3, act = softplus)", "linear(2) >> mlp(2)"))

    def source(self, parents: Sequence[str]) -> str:
        """The parameters of a factor with these parents."""
        if not parents:
            return "learned"
        finite = all(not self.types[v].startswith(("real", "unit")) for v in parents)
        return "table" if finite and self.dice.random() < 0.5 else self.network()

    def factor(self, side: str, node: str, parents: list[str]) -> str:
        """`side(node | parents) = …`, its parents sometimes through a let of their own."""
        self.dice.shuffle(parents)
        family = FAMILIES[self.types[node].split("(")[0].split("[")[0]]
        if len(parents) > 1 and self.dice.random() < 0.2:
            let = f"h_{side}_{node}"
            self.lines.append(f"let {let} = mlp(2, act = tanh)({', '.join(parents)})")
            return f"{side}({node} | {let}) = {family}({self.network()})"
        if family == "Categorical" and not parents and side == "p" and self.dice.random() < 0.3:
            return f"{side}({node}) = {family}"
        given = f" | {', '.join(parents)}" if parents else ""
        return f"{side}({node}{given}) = {family}({self.source(parents)})"


EXACT = ("", " by enumerate", " by score", " by score")
DRAWN = (" by score", " by gumbel(0.7)", " by gumbel(0.4)", " by straight_through")


def random_program(seed: int, real: float = 0.0, estimators: Sequence[str] = EXACT) -> str:
    """Three to five unknown nodes, any roles, any two orders, any of the estimators; `real`: how often a node is real
    rather than finite."""
    w = Writer(random.Random(seed))
    unknown = [f"v{i}" for i in range(w.dice.randint(3, 5))]
    w.lines.append(f"model random_{seed}")
    w.declare("x", "observed", w.dice.choice(OBSERVED))
    always = ["x"]
    if w.dice.random() < 0.25:
        w.declare("g", "given", w.dice.choice(TYPES[:3]))
        always.append("g")
    for name in unknown:
        kind = "real" if real and w.dice.random() < real else w.dice.choices(TYPES, WEIGHTS)[0]
        w.declare(name, w.dice.choice(("supervised", "latent")), kind)
    for name in w.dice.sample(unknown, len(unknown)):
        earlier = w.subset(w.done(unknown, "p"), 0.5)
        w.lines.append(w.factor("p", name, earlier + w.subset(always[1:], 0.3)))
    w.lines.append(w.factor("p", "x", w.subset(unknown, 0.6) or unknown[:1]))
    for name in w.dice.sample(unknown, len(unknown)):
        earlier = w.subset(w.done(unknown, "q"), 0.5) + w.subset(always, 0.7)
        by = w.dice.choice(estimators)
        w.lines.append(w.factor("q", name, earlier) + (by if w.types[name] != "real" else ""))
    return "\n".join(w.lines) + "\n"
