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
        match self.method:
            case "normal" | "laplace":
                return at["loc"] + at["scale"] * self.noise[0]
            case "log_normal":
                return (at["loc"] + at["scale"] * self.noise[0]).exp()
            case "student_t":
                half = 0.5 * at["df"].expand(self.noise[1].shape)
                slope = torch._standard_gamma_grad(half.detach(), self.noise[1])
                gamma = self.noise[1] + slope * (half - half.detach())
                return at["loc"] + at["scale"] * self.noise[0] * (half / gamma).sqrt()
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
    """Draws that remember the last gamma, which no value shows."""

    last: Tensor

    def _gamma(self, concentration: Tensor) -> Tensor:
        self.last = super()._gamma(concentration)
        return self.last


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
                gamma = self.draws.last.detach()
                half = 0.5 * torch.as_tensor(args[0], dtype=value.dtype)
                return Drawn(method, value, ((value - args[1]) / args[2] / (half / gamma).sqrt(), gamma))
            case "gumbel":
                return Drawn(method, value, (args[1] * value.log() - args[0],), (args[1],))
            case "binary_gumbel":
                return Drawn(method, value, (args[1] * torch.logit(value) - args[0],), (args[1],))
            case _:
                return Drawn(method, value)


def one_hot(value: Tensor, first: int, values: int) -> Tensor:
    """A class as weights, float64."""
    return functional.one_hot(value.long() - first, values).double()
