"""Log densities of a cell from the formulas of textbooks, and the maps of parameters into their domains."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from sgdsl.middle import ir


def domain(family: str, parameter: ir.Parameter, raw: Tensor, given: bool) -> Tensor:
    """Behind a head, table or learned tensor: softplus + floor; a given value is brought into the open domain."""
    match parameter.name:
        case "scale" | "rate" | "total_count" | "concentration" | "concentration1" | "concentration0":
            floor = parameter.floor if parameter.floor is not None else 1e-4
            return raw.clamp(min=1e-4) if given else functional.softplus(raw) + floor
        case "loc" if family == "VonMisesFisher":
            return functional.normalize(raw, dim=-1)
        case "scale_tril":
            return _square(parameter, raw, given)
        case "df":
            return raw if given else functional.softplus(raw) + 2
        case "gate":
            return raw.clamp(1e-6, 1 - 1e-6) if given else raw.sigmoid().clamp(1e-6, 1 - 1e-6)
        case "probs" if family == "Categorical":
            open_ = raw.clamp(1e-6, 1 - 1e-6)
            return (open_ / open_.sum(-1, keepdim=True)).clamp(1e-6, 1 - 1e-6)
        case "probs":
            return raw.clamp(1e-6, 1 - 1e-6)
        case _:
            return raw


def head_shape(family: str, parameter: ir.Parameter) -> ir.Shape:
    """What its head gives: of an angle a point of the plane, its coordinates in front; of a triangle its entries."""
    if parameter.name == "scale_tril":
        return (parameter.shape[-1] * (parameter.shape[-1] + 1) // 2,)
    return (2, *parameter.shape) if _is_angle(family, parameter) else parameter.shape


def from_head(family: str, parameter: ir.Parameter, raw: Tensor) -> Tensor:
    """Of an angle that at which the point is seen, [N, *shape]."""
    return torch.atan2(raw[:, 1], raw[:, 0]) if _is_angle(family, parameter) else raw


def _square(parameter: ir.Parameter, raw: Tensor, given: bool) -> Tensor:
    """[N, entries row by row] or a given square → a lower triangle [N, n, n] with a positive diagonal."""
    n = parameter.shape[-1]
    floor = parameter.floor if parameter.floor is not None else 1e-4
    found = torch.zeros(len(raw), n, n, dtype=torch.float64)
    for i in range(n):
        for j in range(i + 1):
            entry = raw[:, i, j] if given else raw[:, i * (i + 1) // 2 + j]
            if i == j:
                entry = entry.clamp(min=1e-4) if given else functional.softplus(entry) + floor
            found[:, i, j] = entry
    return found


def _is_angle(family: str, parameter: ir.Parameter) -> bool:
    return family == "VonMises" and parameter.name == "loc"


def cell_log_prob(kind: ir.Type, family: str, at: Mapping[str, Tensor], value: Tensor) -> Tensor:
    """log density or mass of each cell, [N or 1, *shape]; `at`: the parameters by name. Of a class's weights, one dimension
    more, the expected log mass."""
    match family:
        case "Categorical" if value.dim() > 1 + len(kind.event):
            return (value * at["logits"].log_softmax(-1)).sum(-1)
        case "Categorical":
            return _categorical(at["logits"] if "logits" in at else at["probs"].log(), value.long() - kind.first)
        case "ContinuousBernoulli":
            return _tilted(value, *unit_tilt(at))
        case "Bernoulli" if "probs" in at:
            return value * at["probs"].log() + (1 - value) * torch.log1p(-at["probs"])
        case "NegativeBinomial" | "ZeroInflatedNegativeBinomial":
            counted = _negative_binomial(value, at["total_count"], at["logits"].sigmoid())
            gate = at.get("gate")
            return counted if gate is None else (gate * (value == 0) + (1 - gate) * counted.exp()).log()
        case _:
            names, density = _CELLS[family]
            return density(value, *(at[n] for n in names.split()))


def mean(kind: ir.Type, family: str, at: Mapping[str, Tensor]) -> Tensor:
    """The mean of each cell, from the formulas of textbooks; of a class its probabilities, of a mixture's experts the weighted
    sum."""
    if "weights" in at:
        experts = mean(kind, family, {name: value for name, value in at.items() if name != "weights"})
        share = at["weights"].exp()
        return (share.reshape(*share.shape, *[1] * (experts.dim() - 2)) * experts).sum(1)
    if family == "ContinuousBernoulli":
        flat, tilt, safe = unit_tilt(at)
        return torch.where(flat, 0.5 + tilt / 12, 1 / -torch.expm1(-safe) - 1 / safe)
    if family == "Categorical":
        weights = at["probs"] if "probs" in at else at["logits"].softmax(-1)
        values = torch.arange(kind.first, kind.first + weights.shape[-1], dtype=weights.dtype)
        return weights @ values if kind.support == "range" else weights
    if "logits" in at or "probs" in at:
        probs = at["probs"] if "probs" in at else at["logits"].sigmoid()
        counted = at["total_count"] * probs / (1 - probs) if "total_count" in at else probs
        return counted * (1 - at["gate"]) if "gate" in at else counted
    names, found = _MEANS[family]
    return found(*(at[n] for n in names.split()))


def whole_turn(angle: Tensor) -> Tensor:
    """The same angle in (−π, π]."""
    return torch.atan2(angle.sin(), angle.cos())


def unit_tilt(at: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Of a continuous Bernoulli, exp(tilt · v) on [0, 1]: whether it is nearly flat, the tilt, and 1 instead where it is."""
    tilt = at["logits"] if "logits" in at else at["probs"].log() - torch.log1p(-at["probs"])
    flat = tilt.abs() < 1e-4
    return flat, tilt, torch.where(flat, 1.0, tilt)


def _categorical(logits: Tensor, index: Tensor) -> Tensor:
    rows = max(len(logits), len(index))
    log_probs = logits.log_softmax(-1).expand(rows, *logits.shape[1:])
    return log_probs.gather(-1, index[..., None].expand(rows, *index.shape[1:], 1))[..., 0]


def _normal(value: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    return -0.5 * ((value - loc) / scale) ** 2 - scale.log() - 0.5 * math.log(2 * math.pi)


def _student(value: Tensor, df: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    z = (value - loc) / scale
    norm = torch.lgamma((df + 1) / 2) - torch.lgamma(df / 2) - 0.5 * (df * math.pi).log() - scale.log()
    return norm - (df + 1) / 2 * torch.log1p(z**2 / df)


def _gamma(value: Tensor, c: Tensor, rate: Tensor) -> Tensor:
    return c * rate.log() + (c - 1) * value.log() - rate * value - torch.lgamma(c)


def _beta(value: Tensor, one: Tensor, zero: Tensor) -> Tensor:
    total = torch.lgamma(one + zero) - torch.lgamma(one) - torch.lgamma(zero)
    return total + (one - 1) * value.log() + (zero - 1) * torch.log1p(-value)


def _level(value: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """Of a grey level the mass between its edges, with everything beyond at 0 and at 1; from the nearer end."""
    below, above = (((value + off - loc) / scale) for off in (-0.5 / 255, 0.5 / 255))
    below = torch.where(value * 255 < 0.5, -math.inf, below)
    above = torch.where(value * 255 > 254.5, math.inf, above)
    return torch.where(value > loc, (-below).sigmoid() - (-above).sigmoid(), above.sigmoid() - below.sigmoid()).log()


def _tilted(value: Tensor, flat: Tensor, tilt: Tensor, safe: Tensor) -> Tensor:
    return tilt * value - torch.where(flat, tilt / 2 + tilt**2 / 24, (torch.expm1(safe) / safe).log())


def _dirichlet(value: Tensor, c: Tensor) -> Tensor:
    return torch.lgamma(c.sum(-1)) - torch.lgamma(c).sum(-1) + ((c - 1) * value.log()).sum(-1)


def _sphere(value: Tensor, loc: Tensor, k: Tensor) -> Tensor:
    """κ μ·x + log C, C = κ^ν / ((2π)^(ν + 1) I_ν(κ)), ν = n / 2 − 1, the Bessel function by its power series."""
    nu, m = value.shape[-1] / 2 - 1, torch.arange(200, dtype=torch.float64)
    terms = (2 * m + nu) * (k / 2).log()[..., None] - torch.lgamma(m + 1) - torch.lgamma(m + nu + 1)
    log_c = nu * k.log() - (nu + 1) * math.log(2 * math.pi) - terms.logsumexp(-1)
    return k * (value * loc).sum(-1) + log_c


def _gaussian(value: Tensor, loc: Tensor, triangle: Tensor) -> Tensor:
    """By the inverse and the determinant of the covariance."""
    away, covariance = value - loc, triangle @ triangle.mT
    square = (away[..., None, :] @ torch.linalg.inv(covariance) @ away[..., None])[..., 0, 0]
    found: Tensor = -0.5 * (square + torch.logdet(covariance) + value.shape[-1] * math.log(2 * math.pi))
    return found


def _negative_binomial(value: Tensor, total: Tensor, success: Tensor) -> Tensor:
    """`value` successes, each of probability `success`, before `total` failures."""
    ways = torch.lgamma(total + value) - torch.lgamma(value + 1) - torch.lgamma(total)
    return ways + total * torch.log1p(-success) + value * success.log()


# Of each family its parameters and the log density of a cell.
_CELLS: Mapping[str, tuple[str, Callable[..., Tensor]]] = {
    "Normal": ("loc scale", _normal),
    "Laplace": ("loc scale", lambda v, loc, scale: -(v - loc).abs() / scale - (2 * scale).log()),
    "StudentT": ("df loc scale", _student),
    "LogNormal": ("loc scale", lambda v, loc, scale: _normal(v.log(), loc, scale) - v.log()),
    "Exponential": ("rate", lambda v, rate: rate.log() - rate * v),
    "Gamma": ("concentration rate", _gamma),
    "Beta": ("concentration1 concentration0", _beta),
    "DiscretizedLogistic": ("loc scale", _level),
    "Dirichlet": ("concentration", _dirichlet),
    "MultivariateNormal": ("loc scale_tril", _gaussian),
    "VonMisesFisher": ("loc concentration", _sphere),
    "VonMises": ("loc concentration", lambda v, loc, k: k * (v - loc).cos() - (2 * math.pi * torch.i0(k)).log()),
    "Bernoulli": ("logits", lambda v, logits: v * logits - functional.softplus(logits)),
    "Poisson": ("rate", lambda v, rate: v * rate.log() - rate - torch.lgamma(v + 1)),
}


def _cut(loc: Tensor, scale: Tensor) -> Tensor:
    """Of a logistic what is cut to [0, 1]."""
    ends = [functional.softplus((loc - v) / scale) for v in (0, 1)]
    return scale * (ends[0] - ends[1])


_MEANS: Mapping[str, tuple[str, Callable[..., Tensor]]] = {
    **{
        family: ("loc", lambda loc: loc)
        for family in ("Normal", "Laplace", "StudentT", "MultivariateNormal", "VonMisesFisher")
    },
    "LogNormal": ("loc scale", lambda loc, scale: (loc + scale**2 / 2).exp()),
    "Exponential": ("rate", lambda rate: 1 / rate),
    "Gamma": ("concentration rate", lambda c, rate: c / rate),
    "Beta": ("concentration1 concentration0", lambda one, zero: one / (one + zero)),
    "DiscretizedLogistic": ("loc scale", _cut),
    "Dirichlet": ("concentration", lambda c: c / c.sum(-1, keepdim=True)),
    "VonMises": ("loc", whole_turn),
    "Poisson": ("rate", lambda rate: rate),
}
