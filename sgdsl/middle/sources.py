"""Where the parameters of a factor come from, and what members of products and mixtures are made of. Names are those of ir.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sgdsl.middle.expressions import Expr, Network, Ref
from sgdsl.middle.loops import Range
from sgdsl.middle.types import Shape


@dataclass(frozen=True, slots=True)
class Head:
    """The parameter is a linear head (for a deconv: its last layer) on the factor's shared trunk."""


@dataclass(frozen=True, slots=True)
class Own:
    """The parameter has a network of its own, with a head."""

    network: Network


@dataclass(frozen=True, slots=True)
class Table:
    """One row for each combination of `parents` (class, binary, count(a, b)), in written order. `copies`: a table of its own
    for each copy of these loops, `table[i]`."""

    parents: tuple[Ref, ...]
    copies: tuple[Range, ...] = ()


@dataclass(frozen=True, slots=True)
class Learned:
    """A free parameter of `shape`: the parameter's full shape, or (1,) for one number for all cells. `copies`: one for each
    copy of these loops, `learned[i]`."""

    shape: Shape
    copies: tuple[Range, ...] = ()


@dataclass(frozen=True, slots=True)
class Value:
    """No head, no map: the value of an expression, brought into the parameter's open domain."""

    expr: Expr


@dataclass(frozen=True, slots=True)
class Default:
    """The family's default, a constant (Categorical's logits: 0, the uniform distribution)."""

    value: float


@dataclass(frozen=True, slots=True)
class Expert:
    """A member of a product or mixture, a family with parameters of its own. `partial`: partial nodes that it reads,
    through lets too; in rows where they miss every cell it drops out."""

    family: str
    parameters: tuple[Parameter, ...]
    trunk: Network | None = None
    partial: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bayes:
    """The logits are Σ log p of the factors of these nodes, at every value of the factor's own node: all p-factors that
    contain it. `reads`: the nodes, and lets that do not depend on it, that they read."""

    factors: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Product:
    """loc and scale of a product of Normals, whose precisions add. `prior`: the node's p-factor is one of them, and `reads`
    what that reads."""

    experts: tuple[Expert, ...]
    prior: bool = False
    reads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mixture:
    """The parameters of experts of one family side by side, [experts, …]; the density is their mean."""

    experts: tuple[Expert, ...]


@dataclass(frozen=True, slots=True)
class Used:
    """All parameters are those of another model's factor, `digit.p(x | y = …)`. `use`, `args`: as in Mean; `mixture`: its
    experts, where it is one."""

    use: str
    side: Literal["p", "q"]
    node: str
    args: tuple[tuple[str, Expr], ...]
    mixture: Mixture | None = None


ParameterSource = Head | Own | Table | Learned | Value | Default | Bayes | Product | Mixture | Used


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the family (its name there), of `shape` (for Categorical logits: event + (k,))."""

    name: str
    source: ParameterSource
    shape: Shape
    floor: float | None = None  # scale of an observed or supervised continuous node, headed or learned: 1e-2
