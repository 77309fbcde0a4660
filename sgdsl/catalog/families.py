"""The table of families: for each its supports, its parameters in the order of torch.distributions, and its names at run time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sgdsl.catalog.shapes import Shape

Domain = Literal["real", "positive", "degrees", "logits", "probability", "value", "angle", "triangle", "axis"]


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """`domain` chooses the map behind a head (runtime/domains); `default` None: the bare family leaves it open."""

    name: str
    domain: Domain
    default: float | None = None
    classes: bool = False  # one more trailing dimension, over the node's values (Categorical's logits)
    shrinks: bool = False  # as it goes to 0 the density of a single point grows without bound
    each: bool = False  # one number for each vector
    whole: bool = False  # its cells are read together: one number for all of them is spread over them

    def shape(self, event: Shape, values: int) -> Shape:
        """Of a node with an event shape, whose cells take so many values (0: infinitely many)."""
        if self.domain == "triangle":
            return (*event, *event[-1:])
        if self.each:
            return event[:-1]
        return (*event, values) if self.classes else event

    def free(self, shape: Shape) -> Shape:
        """What is learned for a parameter of `shape`, before its map: of a triangle the entries on and below the diagonal."""
        return (*shape[:-2], shape[-1] * (shape[-1] + 1) // 2) if self.domain == "triangle" else shape

    def raw(self, shape: Shape) -> Shape:
        """What a head gives: of an angle the two coordinates of a point, in front."""
        return (2, *shape) if self.domain == "angle" else self.free(shape)


@dataclass(frozen=True, slots=True)
class FamilyRow:
    """`runtime` is the prefix of its functions; `instead` maps another parameterisation to the canonical one, e.g.
    probs → logits, with the runtime function that converts a value."""

    name: str
    supports: tuple[str, ...]
    parameters: tuple[ParameterRow, ...]
    runtime: str
    reparameterised: bool
    instead: tuple[tuple[str, str, str], ...] = ()
    vector: bool = False  # a density of vectors: the last dimension of a value is one draw
    needs: str = ""  # "latent q": only as q of a latent node; "observed": only of an observed node

    @property
    def bare(self) -> bool:
        """Whether the bare name means something."""
        return all(p.default is not None for p in self.parameters)

    def parameter(self, name: str) -> ParameterRow | None:
        return next((p for p in self.parameters if p.name == name), None)


_LOC = ParameterRow("loc", "real", 0.0)
_SCALE = ParameterRow("scale", "positive", 1.0, shrinks=True)
_RATE = ParameterRow("rate", "positive", 1.0)
_CONCENTRATION = ParameterRow("concentration", "positive", 1.0)
_TOTAL = ParameterRow("total_count", "positive")
_LOGITS = ParameterRow("logits", "logits")

_ROWS = (
    FamilyRow("Normal", ("real",), (_LOC, _SCALE), "normal", True),
    FamilyRow("Laplace", ("real",), (_LOC, _SCALE), "laplace", True),
    FamilyRow("StudentT", ("real",), (ParameterRow("df", "degrees", 5.0), _LOC, _SCALE), "student_t", True),
    FamilyRow(
        "MultivariateNormal",
        ("real",),
        (_LOC, ParameterRow("scale_tril", "triangle", 1.0, shrinks=True)),
        "multivariate_normal",
        True,
        vector=True,
    ),
    FamilyRow("LogNormal", ("positive",), (_LOC, _SCALE), "log_normal", True),
    FamilyRow("Exponential", ("positive",), (_RATE,), "exponential", True),
    FamilyRow("Gamma", ("positive",), (_CONCENTRATION, _RATE), "gamma", True),
    FamilyRow(
        "Beta",
        ("unit",),
        (ParameterRow("concentration1", "positive", 1.0), ParameterRow("concentration0", "positive", 1.0)),
        "beta",
        True,
    ),
    FamilyRow(
        "ContinuousBernoulli",
        ("unit",),
        (ParameterRow("logits", "logits", 0.0),),
        "continuous_bernoulli",
        True,
        (("probs", "logits", "bernoulli_logits"),),
    ),
    FamilyRow(
        "DiscretizedLogistic",
        ("unit",),
        (ParameterRow("loc", "real"), ParameterRow("scale", "positive")),
        "discretized_logistic",
        False,
        needs="observed",
    ),
    FamilyRow(
        "Dirichlet",
        ("simplex",),
        (ParameterRow("concentration", "positive", 1.0, whole=True),),
        "dirichlet",
        True,
        vector=True,
    ),
    FamilyRow(
        "VonMisesFisher",
        ("direction",),
        (ParameterRow("loc", "axis"), ParameterRow("concentration", "positive", each=True)),
        "von_mises_fisher",
        True,
        vector=True,
    ),
    FamilyRow("VonMises", ("angle",), (ParameterRow("loc", "angle", 0.0), _CONCENTRATION), "von_mises", True),
    FamilyRow(
        "Bernoulli",
        ("binary", "unit"),
        (ParameterRow("logits", "logits", 0.0),),
        "bernoulli",
        False,
        (("probs", "logits", "bernoulli_logits"),),
    ),
    FamilyRow(
        "Categorical",
        ("class", "range"),
        (ParameterRow("logits", "logits", 0.0, classes=True),),
        "categorical",
        False,
        (("probs", "logits", "categorical_logits"),),
    ),
    FamilyRow("Poisson", ("count",), (_RATE,), "poisson", False),
    FamilyRow(
        "NegativeBinomial",
        ("count",),
        (_TOTAL, _LOGITS),
        "negative_binomial",
        False,
        (("probs", "logits", "bernoulli_logits"),),
    ),
    FamilyRow(
        "ZeroInflatedNegativeBinomial",
        ("count",),
        (_TOTAL, _LOGITS, ParameterRow("gate", "probability")),
        "zero_inflated_negative_binomial",
        False,
        (("probs", "logits", "bernoulli_logits"),),
    ),
    FamilyRow(
        "Delta",
        ("real", "positive", "unit", "binary", "class", "count", "range", "simplex", "angle", "direction"),
        (ParameterRow("value", "value"),),
        "delta",
        True,
        needs="latent q",
    ),
)

FAMILIES: dict[str, FamilyRow] = {row.name: row for row in _ROWS}
SIDES: dict[str, str] = {  # right-hand sides of q that are no family, as they are written
    "bayes": "bayes",
    "product": "product(Normal(mlp(64)(a)), Normal(mlp(64)(b)))",
    "mixture": "mixture(Normal(mlp(64)(a)), Normal(mlp(64)(b)))",
}
# The family of a made factor of q, by the support of its node.
MADE: dict[str, str] = {
    "real": "Normal", "positive": "LogNormal", "unit": "Beta", "binary": "Bernoulli", "class": "Categorical",
    "range": "Categorical", "count": "NegativeBinomial", "simplex": "Dirichlet", "angle": "VonMises",
    "direction": "VonMisesFisher",
}  # fmt: skip
