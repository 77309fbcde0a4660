"""Patches of images by their place: maps and places (a, u, v) come in, crops and canvases go out, many at once.

A place says the side of the patch, as a share of the canvas, s = (patch / canvas) · exp(a / 4) in height and width, and its
centre (tanh(u / 2), tanh(v / 2)), x to the right and y down, with the canvas from −1 to 1 (the middles of its outer cells
lie inside: `align_corners=False` of torch's grid_sample). At (0, 0, 0) cells meet cells. Bilinear, zero outside.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def crop(image: Tensor, at: Tensor, height: int, width: int) -> Tensor:
    """The patch at a place: image [S or 1, entries, c, H, W], at [S or 1, entries, 3] → [S or 1, entries, c, height, width]."""
    scale, centre = _placed(at, (height, width), (image.shape[-2], image.shape[-1]))
    return _sampled(image, scale, centre, height, width)


def paste(patch: Tensor, at: Tensor, height: int, width: int) -> Tensor:
    """A canvas, 0 beside the patch at a place: patch [S or 1, entries, c, h, w], at [S or 1, entries, 3] →
    [S or 1, entries, c, height, width]. Undoes `crop` of this size inside the patch."""
    scale, centre = _placed(at, (patch.shape[-2], patch.shape[-1]), (height, width))
    return _sampled(patch, 1 / scale, -centre / scale, height, width)


def _placed(at: Tensor, patch: tuple[int, int], canvas: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Half the sides of the patch on the canvas, (x, y), and its centre: [S or 1, entries, 2] each."""
    sides = at.new_tensor([patch[1] / canvas[1], patch[0] / canvas[0]])
    return sides * (at[..., :1] / 4).exp(), (at[..., 1:] / 2).tanh()


def _sampled(image: Tensor, scale: Tensor, centre: Tensor, height: int, width: int) -> Tensor:
    """The image at scale · p + centre for every p of a grid of cells over [−1, 1]²."""
    lead = torch.broadcast_shapes(image.shape[:2], scale.shape[:2])
    channels = image.shape[-3]
    theta = torch.cat([torch.diag_embed(scale), centre[..., None]], -1).expand(*lead, 2, 3).flatten(0, 1)
    whole = image.expand(*lead, *image.shape[2:]).flatten(0, 1)
    grid = F.affine_grid(theta.to(image.dtype), [len(theta), channels, height, width], align_corners=False)
    found = F.grid_sample(whole, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return found.reshape(*lead, channels, height, width)
