"""Log densities of a cell from the formulas of textbooks, and the maps of parameters into their domains."""

from __future__ import annotations

import math
from collections.abc import Mapping

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
    """What its head gives: of an angle a point of the plane, its coordinates in front."""
    return (2, *parameter.shape) if _is_angle(family, parameter) else parameter.shape


def from_head(family: str, parameter: ir.Parameter, raw: Tensor) -> Tensor:
    """Of an angle that at which the point is seen, [N, *shape]."""
    return torch.atan2(raw[:, 1], raw[:, 0]) if _is_angle(family, parameter) else raw


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
        case "Exponential":
            return at["rate"].log() - at["rate"] * value
        case "Gamma":
            c, rate = at["concentration"], at["rate"]
            return c * rate.log() + (c - 1) * value.log() - rate * value - torch.lgamma(c)
        case "Beta":
            return _beta(value, at["concentration1"], at["concentration0"])
        case "ContinuousBernoulli":
            return _tilted(value, *unit_tilt(at))
        case "VonMises":
            return at["concentration"] * (value - at["loc"]).cos() - (2 * math.pi * torch.i0(at["concentration"])).log()
        case "Bernoulli" if "probs" in at:
            return value * at["probs"].log() + (1 - value) * torch.log1p(-at["probs"])
        case "Bernoulli":
            return value * at["logits"] - functional.softplus(at["logits"])
        case "Normal":
            return _normal(value, at["loc"], at["scale"])
        case "LogNormal":
            return _normal(value.log(), at["loc"], at["scale"]) - value.log()
        case "Laplace":
            return -(value - at["loc"]).abs() / at["scale"] - (2 * at["scale"]).log()
        case "StudentT":
            return _student(value, at["df"], at["loc"], at["scale"])
        case "Poisson":
            return value * at["rate"].log() - at["rate"] - torch.lgamma(value + 1)
        case "NegativeBinomial":
            return _negative_binomial(value, at["total_count"], at["logits"].sigmoid())
        case "ZeroInflatedNegativeBinomial":
            counted = _negative_binomial(value, at["total_count"], at["logits"].sigmoid()).exp()
            return (at["gate"] * (value == 0) + (1 - at["gate"]) * counted).log()
        case _:
            raise NotImplementedError(family)


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
    probs = at["probs"] if "probs" in at else at["logits"].sigmoid() if "logits" in at else None
    match family:
        case "Categorical":
            weights = at["probs"] if "probs" in at else at["logits"].softmax(-1)
            values = torch.arange(kind.first, kind.first + weights.shape[-1], dtype=weights.dtype)
            return weights @ values if kind.support == "range" else weights
        case "Bernoulli":
            assert probs is not None
            return probs
        case "Normal" | "Laplace" | "StudentT":
            return at["loc"]
        case "VonMises":
            return whole_turn(at["loc"])
        case "LogNormal":
            return (at["loc"] + at["scale"] ** 2 / 2).exp()
        case "Exponential":
            return 1 / at["rate"]
        case "Gamma":
            return at["concentration"] / at["rate"]
        case "Beta":
            return at["concentration1"] / (at["concentration1"] + at["concentration0"])
        case "Poisson":
            return at["rate"]
        case "NegativeBinomial" | "ZeroInflatedNegativeBinomial":
            assert probs is not None
            counted = at["total_count"] * probs / (1 - probs)
            return counted * (1 - at["gate"]) if "gate" in at else counted
        case _:
            raise NotImplementedError(family)


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


def _beta(value: Tensor, one: Tensor, zero: Tensor) -> Tensor:
    total = torch.lgamma(one + zero) - torch.lgamma(one) - torch.lgamma(zero)
    return total + (one - 1) * value.log() + (zero - 1) * torch.log1p(-value)


def _tilted(value: Tensor, flat: Tensor, tilt: Tensor, safe: Tensor) -> Tensor:
    return tilt * value - torch.where(flat, tilt / 2 + tilt**2 / 24, (torch.expm1(safe) / safe).log())


def _negative_binomial(value: Tensor, total: Tensor, success: Tensor) -> Tensor:
    """`value` successes, each of probability `success`, before `total` failures."""
    ways = torch.lgamma(total + value) - torch.lgamma(value + 1) - torch.lgamma(total)
    return ways + total * torch.log1p(-success) + value * success.log()
