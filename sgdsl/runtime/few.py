"""Linear layers of few entries, where a step is calls: torch's own layers, which are fewer calls than one function with a written
gradient. Real values on one level come in, features at that level go out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

FEW = 2**15  # cells of the widest layer; above, buffers that are written once win (docs/architecture.md)


def are_few(layers: Sequence[nn.Linear], values: Sequence[Tensor]) -> bool:
    """Whether values [S or 1, entries, n] have the same samples and entries, and few."""
    lead = values[0].shape[:-1]
    widest = max(layer.out_features for layer in layers)
    return lead.numel() * widest <= FEW and all(value.shape[:-1] == lead for value in values)


def one_by_one(
    layers: Sequence[nn.Linear], heads: Sequence[nn.Linear], rectified: bool, values: list[Tensor]
) -> Sequence[Tensor]:
    """The layers with ReLU between them, and behind the last where `rectified` or heads follow: → [S or 1, entries, m]; with
    heads one of each, in the dtype of its weights."""
    h = (torch.cat(values, -1) if len(values) > 1 else values[0]).to((*layers, *heads)[0].weight.dtype)
    for i, layer in enumerate(layers, 1):
        h = layer(h)
        if i < len(layers) or rectified or heads:
            h = h.relu_()
    return [head(h).to(head.weight.dtype) for head in heads] if heads else [h]
