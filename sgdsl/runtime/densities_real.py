"""Log-densities on the real and the positive line: values and parameters come in, sums over the event dimensions go out.

A parameter is a tensor or a number and broadcasts against the value; `event` is the number of trailing dimensions that
are summed. The value has all event dimensions, whatever the parameters have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
Parameter = Tensor | float


def full(first: Parameter, *others: Parameter) -> Tensor:
    """The first parameter as a tensor of the shape and dtype that all parameters broadcast to."""
    like = next((p for p in (first, *others) if isinstance(p, Tensor)), None)
    if like is None:
        return torch.as_tensor(float(first))
    shape = torch.broadcast_shapes(*(p.shape for p in (first, *others) if isinstance(p, Tensor)))
    return torch.as_tensor(first, dtype=like.dtype, device=like.device).expand(shape)


def sum_event(term: Tensor, event: int) -> Tensor:
    """The sum over the last `event` dimensions; none for 0."""
    return term.sum(tuple(range(-event, 0))) if event else term


def log_of(parameter: Tensor | float) -> Tensor | float:
    """The logarithm of a parameter that is a tensor or a number."""
    return parameter.log() if isinstance(parameter, Tensor) else math.log(parameter)


def refuse_second_derivative() -> None:
    """Raises RuntimeError in a backward pass with create_graph: torch's once_differentiable lets the usual case pass as a
    constant."""
    if torch.is_grad_enabled():
        raise RuntimeError("a log-density with a written gradient is differentiable once (create_graph=True)")


class _Normal(torch.autograd.Function):
    """Normal log-density that keeps z and the scale; its gradient is five passes over the cells."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, loc: Tensor, scale: Tensor, event: int) -> Tensor:
        z = (value - loc) / scale
        ctx.save_for_backward(z, scale)
        ctx.event, ctx.shapes = event, (value.shape, loc.shape, scale.shape)
        terms = torch.addcmul(scale.log(), z, z, value=0.5)
        cells = math.prod(z.shape[z.dim() - event :])
        return sum_event(terms, event).neg().sub_(cells * HALF_LOG_2PI)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivative()
        z, scale = ctx.saved_tensors
        value_shape, loc_shape, scale_shape = ctx.shapes
        of_scale = gradient.reshape(*gradient.shape, *[1] * ctx.event) / scale
        of_loc = z * of_scale
        needs_value, needs_loc, needs_scale, _ = ctx.needs_input_grad
        return (
            of_loc.neg().sum_to_size(value_shape) if needs_value else None,
            of_loc.sum_to_size(loc_shape) if needs_loc else None,
            (z * of_loc).sub_(of_scale).sum_to_size(scale_shape) if needs_scale else None,
            None,
        )


def normal_log_prob(value: Tensor, loc: Tensor | float, scale: Tensor | float, event: int = 0) -> Tensor:
    """Normal log-density, […, *event] → […]. Differentiable once where loc and scale are tensors."""
    if isinstance(loc, Tensor) and isinstance(scale, Tensor):
        result: Tensor = _Normal.apply(value, loc, scale, event)  # type: ignore[no-untyped-call]
        return result
    z = value if isinstance(loc, float | int) and loc == 0 else value - loc
    if isinstance(scale, Tensor):
        z = z / scale
        return sum_event(-0.5 * z.square() - scale.log() - HALF_LOG_2PI, event)
    cells = math.prod(z.shape[z.dim() - event :])
    return -0.5 / scale**2 * sum_event(z.square(), event) - cells * (math.log(scale) + HALF_LOG_2PI)


def normal_expected_log_prob(
    q_loc: Tensor | float, q_scale: Tensor | float, loc: Tensor | float, scale: Tensor | float, event: Sequence[int]
) -> Tensor:
    """∫ N(v; q_loc, q_scale) log N(v; loc, scale) dv over the cells of an event of shape `event`: […, *event] each → […].

    −½ ((q_loc − loc)² + q_scale²) / scale² − log scale − ½ log 2π a cell (Kingma and Welling 2014, appendix B, for N(0, 1))."""
    distance = q_loc if isinstance(loc, float | int) and loc == 0 else q_loc - loc
    spread = distance * distance + q_scale * q_scale
    if not isinstance(scale, Tensor):
        return _over(spread, event) * (-0.5 / scale**2) - math.prod(event) * (math.log(scale) + HALF_LOG_2PI)
    return _over(-0.5 * spread / (scale * scale) - scale.log(), event) - math.prod(event) * HALF_LOG_2PI


def normal_negative_entropy(q_loc: Tensor | float, q_scale: Tensor | float, event: Sequence[int]) -> Tensor:
    """∫ N(v; q_loc, q_scale) log N(v; q_loc, q_scale) dv over an event: −log q_scale − ½ log 2πe a cell; […, *event] → […]."""
    cells = math.prod(event) * (HALF_LOG_2PI + 0.5)
    if isinstance(q_scale, Tensor):
        return -_over(q_scale.log(), event) - cells
    like = torch.as_tensor(q_loc)
    return like.new_full(like.shape[: like.dim() - len(event)], -math.prod(event) * math.log(q_scale) - cells)


def _over(term: Tensor | float, event: Sequence[int]) -> Tensor:
    """The sum over an event of a term that may lack cells of it."""
    term = torch.as_tensor(term)
    return sum_event(term.expand(*term.shape[: term.dim() - len(event)], *event), len(event))


def laplace_log_prob(value: Tensor, loc: Tensor | float, scale: Tensor | float, event: int = 0) -> Tensor:
    """Laplace log-density, […, *event] → […]."""
    return sum_event(-(value - loc).abs() / scale - log_of(scale) - math.log(2), event)


def log_normal_log_prob(value: Tensor, loc: Tensor | float, scale: Tensor | float, event: int = 0) -> Tensor:
    """Log-normal log-density, […, *event] → […]; a value that has underflowed to 0 counts as the smallest float."""
    log_value = value.clamp(min=torch.finfo(value.dtype).tiny).log()
    return normal_log_prob(log_value, loc, scale, event) - sum_event(log_value, event)


def student_t_log_prob(
    value: Tensor, df: Tensor | float, loc: Tensor | float, scale: Tensor | float, event: int = 0
) -> Tensor:
    """Student t log-density, […, *event] → […]."""
    z = (value - loc) / scale
    half = 0.5 * (df if isinstance(df, Tensor) else torch.as_tensor(df, dtype=z.dtype, device=z.device))
    constant = log_gamma_half_step(half) - 0.5 * math.log(2 * math.pi) - 0.5 * half.log() - log_of(scale)
    return sum_event(constant - (half + 0.5) * torch.log1p(z * z / (2 * half)), event)


def log_gamma_half_step(x: Tensor) -> Tensor:
    """log Γ(x + ½) − log Γ(x) for x > 0, in float64 on the way: the difference loses its digits for large x."""
    wide = x.double()
    return (torch.lgamma(wide + 0.5) - torch.lgamma(wide)).to(x.dtype)
