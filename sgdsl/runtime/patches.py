"""Patches of images by their place: maps and places (a, u, v, k, b) come in, crops, canvases and places go out, many at once.

A place says the side of the patch, as a share of the canvas, s = (patch / canvas) · exp(a / 4) in height and width, and its
centre (tanh(u / 2), tanh(v / 2)), x to the right and y down, with the canvas from −1 to 1 (the middles of its outer cells
lie inside: `align_corners=False` of torch's grid_sample). At (0, 0, 0) cells meet cells. Bilinear, zero outside.
Where the place says more, k slants the patch, k / 4 of a half width to the right for a half height down, and b makes it wider
by exp(b / 4) and as much less high.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def crop(image: Tensor, at: Tensor, height: int, width: int) -> Tensor:
    """The patch at a place: image [S or 1, entries, c, H, W], at [S or 1, entries, 3, 4 or 5] →
    [S or 1, entries, c, height, width]."""
    scale, slant, centre = _placed(at, (height, width), (image.shape[-2], image.shape[-1]))
    return _sampled(image, scale, scale[..., 0] * slant, centre, height, width)


def paste(patch: Tensor, at: Tensor, height: int, width: int) -> Tensor:
    """A canvas, 0 beside the patch at a place: patch [S or 1, entries, c, h, w], at [S or 1, entries, 3, 4 or 5] →
    [S or 1, entries, c, height, width]. Undoes `crop` of this size inside the patch."""
    scale, slant, centre = _placed(at, (patch.shape[-2], patch.shape[-1]), (height, width))
    x, y = (-centre / scale).unbind(-1)
    return _sampled(patch, 1 / scale, -slant / scale[..., 1], torch.stack([x - slant * y, y], -1), height, width)


def reshape(value: Tensor, height: int, width: int) -> Tensor:
    """The cells as a map: [S or 1, entries, …] → [S or 1, entries, c, height, width]."""
    return value.reshape(*value.shape[:2], -1, height, width)


def centre(image: Tensor) -> Tensor:
    """The place (u, v) of the middle of a map's cells, weighed by their values, which are positive: [S or 1, entries, c, H, W] →
    [S or 1, entries, 2]. `crop` and `paste` at (a, u, v) are centred there."""
    whole = image.sum((-3, -2, -1))
    across, down = (_cells(image.sum(dims)) / whole for dims in ((-3, -2), (-3, -1)))
    return 2 * torch.stack([across, down], -1).atanh()


def _cells(weights: Tensor) -> Tensor:
    """The sum of the middles of cells over [−1, 1], times their weights: [S or 1, entries, n] → [S or 1, entries]."""
    return weights @ _middles(weights.shape[-1], weights)


def _placed(at: Tensor, patch: tuple[int, int], canvas: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Of the patch on the canvas half the sides (x, y) [S or 1, entries, 2], the slant [S or 1, entries], the centre (x, y)."""
    sides = at.new_tensor([patch[1] / canvas[1], patch[0] / canvas[0]])
    slant = at[..., 3] / 4 if at.shape[-1] > 3 else torch.zeros_like(at[..., 0])
    size = at[..., :1] / 4
    if at.shape[-1] > 4:
        size = size + at[..., 4:] * at.new_tensor([0.25, -0.25])
    return sides * size.exp(), slant, (at[..., 1:3] / 2).tanh()


def _sampled(image: Tensor, scale: Tensor, slant: Tensor, centre: Tensor, height: int, width: int) -> Tensor:
    """The image at (scale_x · x + slant · y + centre_x, scale_y · y + centre_y) for the cells (x, y) of a grid over [−1, 1]²."""
    lead = torch.broadcast_shapes(image.shape[:2], scale.shape[:2])
    channels = image.shape[-3]
    y, x = (_middles(n, scale) for n in (height, width))
    shifts = slant[..., None] * y + centre[..., :1]
    columns = scale[..., :1, None] * x + shifts[..., None]
    rows = (scale[..., 1:] * y + centre[..., 1:])[..., None].expand_as(columns)
    grid = torch.stack([columns, rows], -1).expand(*lead, height, width, 2).flatten(0, 1)
    whole = image.expand(*lead, *image.shape[2:]).flatten(0, 1)
    found = F.grid_sample(whole, grid.to(image.dtype), mode="bilinear", padding_mode="zeros", align_corners=False)
    return found.reshape(*lead, channels, height, width)


def _middles(cells: int, like: Tensor) -> Tensor:
    """Of cells that fill [−1, 1]."""
    return (2 * torch.arange(cells, dtype=like.dtype, device=like.device) + 1) / cells - 1
