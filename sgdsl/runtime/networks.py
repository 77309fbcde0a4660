"""Layers that work on [S or 1, entries, *event], and first layers split by input: weights and parts come in, features go out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Parts(nn.Module):
    """A factor's modules and free parameters by name: `p_x.trunk`, `p_x.loc`, `p_x.scale`."""

    def __init__(self, **parts: nn.Module | nn.Parameter) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


class Conv2d(nn.Conv2d):
    """[…, c, h, w] → […, c', h', w']: any number of leading dimensions."""

    def forward(self, input: Tensor) -> Tensor:
        output = super().forward(input.flatten(0, -4))
        return output.reshape(*input.shape[:-3], *output.shape[1:])


class ConvTranspose2d(nn.ConvTranspose2d):
    """[…, c, h, w] → […, c', h', w']: any number of leading dimensions."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        output = super().forward(input.flatten(0, -4), output_size)
        return output.reshape(*input.shape[:-3], *output.shape[1:])


class BatchNorm1d(nn.BatchNorm1d):
    """Normalises features over all leading dimensions: […, n] → […, n]."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.flatten(0, -2)).reshape(input.shape)


class BatchNorm2d(nn.BatchNorm2d):
    """Normalises channels over all leading dimensions and places: […, c, h, w] → […, c, h, w]."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.flatten(0, -4)).reshape(input.shape)


class LayerNorm2d(nn.GroupNorm):
    """Layer normalisation of a map over its channels and places: […, c, h, w] → […, c, h, w]."""

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.flatten(0, -4)).reshape(input.shape)


class Residual(nn.Module):
    """What a body and a shortcut make of one value, added: […, c, h, w] → […, c', h', w']."""

    def __init__(self, body: nn.Module, short: nn.Module) -> None:
        super().__init__()
        self.body, self.short = body, short

    def forward(self, input: Tensor) -> Tensor:
        found: Tensor = self.body(input) + self.short(input)
        return found


class Embedding(nn.Module):
    """A vector for each of so many classes, N(0, 1) at the start."""

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(classes, size))

    def forward(self, value: Tensor, rank: int) -> Tensor:
        """Indices [..., *cells], int64, or weights [..., *cells, classes] → the vectors of all cells, which are the last `rank`
        dimensions of indices, one behind the other."""
        found = (
            F.embedding(value, self.table) if value.dtype == torch.int64 else value.to(self.table.dtype) @ self.table
        )
        return found.flatten(-rank - 1) if rank else found


def dense(layer: nn.Linear, value: Tensor, start: int) -> Tensor:
    """The part of a linear layer that reads the inputs start … start + n: value [S or 1, entries, n], no bias."""
    return F.linear(value.to(layer.weight.dtype), layer.weight[:, start : start + value.shape[-1]])


def lift(tensor: Tensor, index: Tensor | None) -> Tensor:
    """Up a level: [S or 1, entries there, …] → [S or 1, len(index), …]; None: it is there already."""
    return tensor if index is None else tensor.index_select(1, index)


def run(layers: nn.Sequential, value: Tensor, start: int, stop: int | None = None) -> Tensor:
    """layers[start:stop] applied in order."""
    for layer in list(layers)[start:stop]:
        value = layer(value)
    return value


def shaped(features: Tensor, *event: int) -> Tensor:
    """A head's output in float32 or float64 and in the parameter's shape: [S or 1, entries, n] → [S or 1, entries, *event]."""
    features = features.float() if features.dtype in (torch.bfloat16, torch.float16) else features
    return features.reshape(*features.shape[:2], *event)


def one_hot(value: Tensor, classes: int, first: int = 0) -> Tensor:
    """int64 […] → float […, classes]."""
    every = torch.arange(first, first + classes, device=value.device)
    return (value[..., None] == every).to(torch.get_default_dtype())


def rows_of(table: Tensor, *index: Tensor) -> Tensor:
    """One row of a table for each entry: index […] each, or weights […, n] of a relaxed value; → […, *event]."""
    if all(i.dtype == torch.int64 for i in index):
        return table[index]
    weights = torch.ones((), dtype=table.dtype, device=table.device)
    flat = table.flatten(0, len(index) - 1)
    for size, part in zip(table.shape, index, strict=False):
        part = F.one_hot(part, size).to(table.dtype) if part.dtype == torch.int64 else part
        weights = (weights[..., None] * part[..., None, :]).flatten(-2)
    rows: Tensor = torch.tensordot(weights, flat, 1)
    return rows


def pad(value: Tensor, dims: int) -> Tensor:
    """Room for `dims` more event dimensions in front: [S or 1, entries, …] → [S or 1, entries, 1, …, 1, …]."""
    return value.reshape(*value.shape[:2], *[1] * dims, *value.shape[2:])


def where_known(known: Tensor, label: Tensor, drawn: Tensor) -> Tensor:
    """The label where known [entries], else the draw: [S or 1, entries, *event]."""
    return torch.where(spread(known, drawn), label, drawn)


def spread(mask: Tensor, value: Tensor) -> Tensor:
    """[entries] with room for the event dimensions of a value [S or 1, entries, *event]."""
    return mask.reshape(-1, *[1] * (value.dim() - 2))


def unknown(known: Tensor, log_prob: Tensor) -> Tensor:
    """The log-density of what was drawn: 0 where the value was known. log_prob [S or 1, entries]."""
    return torch.where(known, 0.0, log_prob)


def labelled(known: Tensor, log_prob: Tensor) -> Tensor:
    """The log-probability of what was known: 0 where the value was drawn. log_prob [S or 1, entries]."""
    return torch.where(known, log_prob, 0.0)


def joined(*parts: Tensor, dim: int) -> Tensor:
    """Concatenation along an event dimension (negative); leading dimensions and scalars are broadcast."""
    lead = torch.broadcast_shapes(*(p.shape[:2] for p in parts))
    return torch.cat([p.expand(*lead, *p.shape[2:]) for p in parts], dim)


def stacked(*parts: Tensor) -> Tensor:
    """A new first event dimension: n times [S or 1, entries, …] → [S or 1, entries, n, …]."""
    return torch.stack(torch.broadcast_tensors(*parts), 2)


def constant(module: nn.Module, value: float, *event: int) -> Tensor:
    """A constant of the model's dtype and device, [1, 1, *event]."""
    like = next(module.parameters(), torch.zeros(()))
    return torch.full((1, 1, *event), value, dtype=like.dtype, device=like.device)


def identity(module: nn.Module, value: float, size: int) -> Tensor:
    """A number times the identity, [1, 1, size, size], of the model's dtype and device."""
    like = next(module.parameters(), torch.zeros(()))
    return value * torch.eye(size, dtype=like.dtype, device=like.device)[None, None]


def number(module: nn.Module, value: Tensor) -> Tensor:
    """A bounded count as a number of the model's dtype, for expressions."""
    return value.to(next(module.parameters(), torch.zeros(())).dtype)


def on_entries(value: Tensor, entries: int) -> Tensor:
    """A value that depends on no input, at each entry: [1, 1, *event] → [1, entries, *event]."""
    return value.expand(-1, entries, *[-1] * (value.dim() - 2))


def free(parameter: Tensor) -> Tensor:
    """A free parameter as a value: [*event] → [1, 1, *event]."""
    return parameter[None, None]


def circle(angle: Tensor, event: int) -> Tensor:
    """The input form of an angle: [S or 1, entries, *event] → [S or 1, entries, 2 · cells], cosines before sines."""
    flat = angle[..., None] if event == 0 else angle.flatten(-event)
    return torch.cat([flat.cos(), flat.sin()], -1)


def expected(weights: Tensor, first: int) -> Tensor:
    """The number that a relaxed class or count stands for: [S or 1, entries, *event, n] → [S or 1, entries, *event]."""
    return weights @ torch.arange(first, first + weights.shape[-1], dtype=weights.dtype, device=weights.device)


def clamped_to(value: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """The value kept between two bounds, which may be numbers or tensors."""
    low, high = (b if isinstance(b, Tensor) else value.new_tensor(b) for b in (low, high))
    return value.clamp(low, high)


def check_shapes(samples: int, entries: int, **log_probs: Tensor) -> None:
    """Every log-probability of a level is [S or 1, entries]: a wrong shape would broadcast in silence."""
    for name, term in log_probs.items():
        if term.shape not in ((samples, entries), (1, entries)):
            raise AssertionError(f"{name} has shape {list(term.shape)}, not [{samples} or 1, {entries}]")
