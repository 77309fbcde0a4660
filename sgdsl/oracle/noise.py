"""Real draws that are recorded: an emitted step draws from them, and what it drew is made again from other parameters.

A draw is a function of its parameters and of noise. The noise is what is left when the emitted parameters are taken out of
a value; put into the oracle's own parameters it gives the same value, with gradients that owe nothing to the emitted code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sgdsl.oracle.densities import unit_tilt, whole_turn
from sgdsl.oracle.slopes import around_of, turned
from sgdsl.runtime.draws import Draws


@dataclass(frozen=True, slots=True)
class Drawn:
    """One call: the method of Draws, its value [S, entries, *event (k)], the noise as far as it is any, and its options."""

    method: str
    value: Tensor
    noise: tuple[Tensor, ...] = ()
    options: tuple[float, ...] = ()
    expert: Tensor | None = None  # of a mixture the one that was drawn from

    def map(self, change: Callable[[Tensor], Tensor]) -> Drawn:
        """Every tensor changed alike."""
        expert = None if self.expert is None else change(self.expert)
        return Drawn(self.method, change(self.value), tuple(change(n) for n in self.noise), self.options, expert)

    def rows(self, entries: slice) -> Drawn:
        """The draws of some entries."""
        return self.map(lambda t: t[:, entries])

    def at(self, samples: Tensor) -> Drawn:
        """The draws of other samples, [S]."""
        return self.map(lambda t: t[samples])

    def of(self, expert: Tensor) -> Drawn:
        """The same, as a draw from these experts."""
        return Drawn(self.method, self.value, self.noise, self.options, expert)

    def again(self, at: Mapping[str, Tensor]) -> Tensor:
        """The value from these parameters, which broadcast against it; a value without a path is itself."""
        if self.expert is not None:
            at = {n: _of_expert(p, self.expert) for n, p in at.items() if n != "weights"}
        if self.method in _PATHS:
            return _PATHS[self.method](at, *self.noise)
        match self.method:
            case "gumbel":
                return ((class_logits(at) + self.noise[0]) / self.options[0]).softmax(-1)
            case "binary_gumbel":
                return ((binary_logits(at) + self.noise[0]) / self.options[0]).sigmoid()
            case "straight_through":
                return _straight(self.value, class_logits(at).softmax(-1))
            case "binary_straight_through":
                return _straight(self.value, binary_logits(at).sigmoid())
            case _:
                return self.value


def _gamma_of(concentration: Tensor, drawn: Tensor) -> Tensor:
    """What was drawn, with its implicit slope along the concentration."""
    slope = torch._standard_gamma_grad(concentration.detach(), drawn)
    return drawn + slope * (concentration - concentration.detach())


def _log_gamma_of(concentration: Tensor, above: Tensor, clock: Tensor) -> Tensor:
    """log of a Gamma(c) from one of c + 1 and an exponential."""
    c = concentration.expand(above.shape)
    return _gamma_of(c + 1, above).log() - clock / c


def _located(at: Mapping[str, Tensor], noise: Tensor) -> Tensor:
    return at["loc"] + at["scale"] * noise


def _student(at: Mapping[str, Tensor], noise: Tensor, gamma: Tensor) -> Tensor:
    half = 0.5 * at["df"].expand(gamma.shape)
    return _located(at, noise * (half / _gamma_of(half, gamma)).sqrt())


def _beta(at: Mapping[str, Tensor], *noise: Tensor) -> Tensor:
    one, zero = (_log_gamma_of(at[f"concentration{1 - i}"], *noise[2 * i : 2 * i + 2]) for i in (0, 1))
    return (one - zero).sigmoid()


def _tilted(at: Mapping[str, Tensor], share: Tensor) -> Tensor:
    flat, tilt, safe = unit_tilt(at)
    return torch.where(flat, share + share * (1 - share) * tilt / 2, torch.log1p(share * torch.expm1(safe)) / safe)


# Of each method whose draws have a path, the value from parameters and noise.
_PATHS: Mapping[str, Callable[..., Tensor]] = {
    "normal": _located,
    "laplace": _located,
    "log_normal": lambda at, noise: _located(at, noise).exp(),
    "student_t": _student,
    "exponential": lambda at, noise: noise / at["rate"],
    "gamma": lambda at, *noise: _log_gamma_of(at["concentration"], *noise).exp() / at["rate"],
    "beta": _beta,
    "dirichlet": lambda at, *noise: _log_gamma_of(at["concentration"], *noise).softmax(-1),
    "multivariate_normal": lambda at, noise: at["loc"] + (at["scale_tril"] @ noise[..., None])[..., 0],
    "von_mises_fisher": lambda at, *noise: turned(at["loc"], at["concentration"], *noise),
    "von_mises": lambda at, noise: whole_turn(at["loc"] + around_of(at["concentration"], noise)),
    "continuous_bernoulli": _tilted,
}


def _of_expert(parameter: Tensor, expert: Tensor) -> Tensor:
    """[N or 1, experts, *event] and [N] → [N, *event]."""
    return parameter.expand(len(expert), *parameter.shape[1:])[torch.arange(len(expert)), expert]


def class_logits(at: Mapping[str, Tensor]) -> Tensor:
    """Of a Categorical, however it is parameterised."""
    return at["logits"] if "logits" in at else at["probs"].log()


def binary_logits(at: Mapping[str, Tensor]) -> Tensor:
    """Of a Bernoulli, however it is parameterised."""
    return at["logits"] if "logits" in at else at["probs"].log() - torch.log1p(-at["probs"])


def _straight(hard: Tensor, soft: Tensor) -> Tensor:
    """One value, another's gradient."""
    return hard + (soft - soft.detach())


class _Gammas(Draws):
    """Draws that remember what no value shows: gammas and exponentials, those of the last draws."""

    hidden: list[Tensor]

    def _gamma(self, concentration: Tensor) -> Tensor:
        drawn = super()._gamma(concentration)
        self.hidden.append(drawn.detach())
        return drawn

    def _exponential(self, out: Tensor) -> Tensor:
        drawn = super()._exponential(out)
        self.hidden.append(drawn.clone())
        return drawn


def _chosen(each: Drawn, value: Tensor) -> Drawn:
    """The draw of the expert that a mixture took: `each` [S, entries, experts, *event], value [S, entries, *event]."""
    same = (each.value == value[:, :, None]).flatten(3).all(-1) if value.dim() > 2 else each.value == value[:, :, None]
    index = same.double().argmax(-1)
    place = index.reshape(*index.shape, *[1] * (each.value.dim() - 2))
    return each.map(lambda t: t.take_along_dim(place, 2)[:, :, 0]).of(index)


@dataclass(slots=True)
class Recorder:
    """A stand-in for sgdsl.runtime.draws.Draws that draws as in training and keeps what it gave."""

    seed: int
    given: list[Drawn] = field(default_factory=list)
    draws: _Gammas = field(init=False)

    def __post_init__(self) -> None:
        self.draws = _Gammas(torch.Generator().manual_seed(self.seed))

    def __getattr__(self, method: str) -> Callable[..., Tensor]:
        draw = getattr(self.draws, method)

        def record(size: Sequence[int], *args: Any) -> Tensor:
            self.draws.hidden = []
            value: Tensor = draw(size, *args)
            with torch.no_grad():
                self.given.append(self._taken(method, value.detach(), args))
            return value

        return record

    def _taken(self, method: str, value: Tensor, args: tuple[Any, ...]) -> Drawn:
        """The draw with its noise."""
        match method:
            case "mixture":
                return _chosen(self.given.pop(), value)
            case "normal" | "laplace":
                return Drawn(method, value, ((value - args[0]) / args[1],))
            case "log_normal":
                return Drawn(method, value, ((value.log() - args[0]) / args[1],))
            case "student_t":
                gamma = self.draws.hidden[0]
                half = 0.5 * torch.as_tensor(args[0], dtype=value.dtype)
                return Drawn(method, value, ((value - args[1]) / args[2] / (half / gamma).sqrt(), gamma))
            case "exponential":
                return Drawn(method, value, (value * args[0],))
            case "multivariate_normal":
                return Drawn(method, value, (torch.linalg.solve(args[1], (value - args[0])[..., None])[..., 0],))
            case "von_mises_fisher":
                return Drawn(method, value, (value, args[0].expand(value.shape)))
            case "von_mises":
                return Drawn(method, value, (whole_turn(value - args[0]),))
            case "gamma" | "beta" | "dirichlet":
                return Drawn(method, value, tuple(self.draws.hidden))
            case "continuous_bernoulli":
                flat, tilt, safe = unit_tilt({"logits": torch.as_tensor(args[0], dtype=value.dtype)})
                share = torch.where(
                    flat, value - value * (1 - value) * tilt / 2, torch.expm1(safe * value) / torch.expm1(safe)
                )
                return Drawn(method, value, (share,))
            case "gumbel":
                return Drawn(method, value, (args[1] * value.log() - args[0],), (args[1],))
            case "binary_gumbel":
                return Drawn(method, value, (args[1] * torch.logit(value) - args[0],), (args[1],))
            case _:
                return Drawn(method, value)


def one_hot(value: Tensor, first: int, values: int) -> Tensor:
    """A class as weights, float64."""
    return functional.one_hot(value.long() - first, values).double()
