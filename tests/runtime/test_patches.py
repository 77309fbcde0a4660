"""crop, paste and centre: the geometry that docs/language.md gives, one undoing the other, gradients through the place."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sgdsl.runtime.patches import centre, crop, paste

IDENTITY = torch.zeros(1, 1, 3, dtype=torch.float64)


def image(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def place(*cells: float) -> Tensor:
    return torch.tensor([[cells]], dtype=torch.float64)


def test_place_zero_of_equal_sizes_is_the_image() -> None:
    """Protects the half cell: s = 1 in the middle puts cells on cells."""
    x = image(2, 3, 2, 7, 5)
    for function in (crop, paste):
        assert torch.allclose(function(x, IDENTITY.expand(2, 3, 3), 7, 5), x, atol=1e-12)


def test_place_zero_cuts_out_the_middle_cells() -> None:
    """At a = 0 a cell of the patch is a cell of the canvas, whatever the sizes, height and width apart."""
    x = image(1, 1, 1, 10, 12)
    assert torch.allclose(crop(x, IDENTITY, 4, 6), x[..., 3:7, 3:9], atol=1e-12)
    canvas = paste(x[..., 3:7, 3:9], IDENTITY, 10, 12)
    assert torch.allclose(canvas, F.pad(x[..., 3:7, 3:9], (3, 3, 3, 3)), atol=1e-12)


def test_x_is_to_the_right_and_y_down() -> None:
    """tanh(u/2) = 1/2 of a canvas of 16 moves the patch by 4 columns to the right; v by 4 rows down."""
    half = 2 * math.atanh(0.5)
    patch = image(1, 1, 1, 4, 4)
    right, down = paste(patch, place(0, half, 0), 16, 16), paste(patch, place(0, 0, half), 16, 16)
    assert torch.allclose(right[..., 6:10, 10:14], patch, atol=1e-12)
    assert torch.allclose(down[..., 10:14, 6:10], patch, atol=1e-12)
    assert torch.allclose(right.sum(), patch.sum())
    assert torch.allclose(down.sum(), patch.sum())
    assert torch.allclose(crop(right, place(0, half, 0), 4, 4), patch, atol=1e-12)


def test_the_side_grows_by_exp_of_a_over_four() -> None:
    """a = 4 log 2: the patch covers twice its side, so that a constant patch covers four times its area."""
    doubled = paste(torch.ones(1, 1, 1, 4, 4, dtype=torch.float64), place(4 * math.log(2), 0, 0), 16, 16)
    assert torch.equal(doubled[0, 0, 0, 5:11, 5:11], torch.ones(6, 6, dtype=torch.float64))
    assert doubled[0, 0, 0, :3].abs().max() == 0
    assert float(doubled.sum()) == pytest.approx(64)


def test_a_slant_moves_lower_rows_to_the_right() -> None:
    """k = 4: a column becomes a diagonal, half the width further to the right at the lower edge; a row stays one."""
    column = torch.zeros(1, 1, 1, 8, 8, dtype=torch.float64)
    column[..., 4] = 1
    slanted = paste(column, place(0, 0, 0, 4), 8, 8)[0, 0, 0]
    middle = (slanted * torch.arange(8)).sum(1) / slanted.sum(1)
    assert torch.allclose(middle[2:7], torch.tensor([2.5, 3.5, 4.5, 5.5, 6.5], dtype=torch.float64))
    row = column.transpose(-1, -2)
    assert torch.allclose(paste(row, place(0, 0, 0, 0.4), 8, 8)[0, 0, 0, :, 3:5], row[0, 0, 0, :, 3:5])


def test_a_fifth_cell_makes_the_patch_wider_and_less_high() -> None:
    """b = 4 log 2 of a patch of 4 × 4: 8 columns, 2 rows."""
    found = paste(torch.ones(1, 1, 1, 4, 4, dtype=torch.float64), place(0, 0, 0, 0, 4 * math.log(2)), 16, 16)[0, 0, 0]
    assert torch.allclose(found[7:9, 5:11], torch.ones(2, 6, dtype=torch.float64))
    assert found[:6].abs().max() == 0
    assert float(found.sum()) == pytest.approx(16)


def test_cells_of_zero_change_nothing() -> None:
    """A place of three cells is one of five whose last two are 0."""
    x = image(1, 1, 2, 9, 6)
    for function in (crop, paste):
        short, long = function(x, place(0.3, -0.2, 0.5), 5, 8), function(x, place(0.3, -0.2, 0.5, 0, 0), 5, 8)
        assert torch.allclose(short, long, atol=1e-14)


@pytest.mark.parametrize(
    "at", [(0.7, 0.4, -0.3), (-0.6, -0.5, 0.2), (0.0, 0.21, 0.13), (0.2, 0.1, -0.2, 0.9), (-0.3, 0.2, 0.1, -0.7, 0.5)]
)
def test_paste_then_crop_gives_the_patch_back(at: tuple[float, float, float]) -> None:
    """One undoes the other: exactly for what bilinear cells can say, a plane, away from the patch's edge."""
    rows, columns = torch.meshgrid(*[torch.linspace(0, 1, 12, dtype=torch.float64)] * 2, indexing="ij")
    patch = (0.3 + 0.5 * rows - 0.2 * columns).expand(1, 1, 1, 12, 12)
    back = crop(paste(patch, place(*at), 40, 40), place(*at), 12, 12)
    assert torch.allclose(back[..., 2:-2, 2:-2], patch[..., 2:-2, 2:-2], atol=1e-12)


def test_gradient_through_the_place() -> None:
    """Against finite differences, at places where no cell lies on a kink; image and patch too."""
    x, patch, at = (
        image(1, 2, 1, 9, 9),
        image(1, 2, 1, 5, 4, seed=1),
        torch.tensor([[[0.31, 0.17, -0.23, 0.6, -0.3], [-0.4, 0.6, 0.35, -1.1, 0.45]]]),
    )
    at = at.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda i, a: crop(i, a, 5, 4), (x.requires_grad_(), at), eps=1e-7, atol=1e-5)
    assert torch.autograd.gradcheck(lambda i, a: paste(i, a, 9, 9), (patch.requires_grad_(), at), eps=1e-7, atol=1e-5)


def test_many_entries_are_each_on_its_own() -> None:
    """One image [1, entries] at places [S, entries], and the other way round: each pair as alone."""
    x, at = image(1, 3, 2, 8, 8), torch.randn(4, 3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = crop(x, at, 3, 5)
    assert found.shape == (4, 3, 2, 3, 5)
    for s in range(4):
        for e in range(3):
            alone = crop(x[:, e : e + 1], at[s : s + 1, e : e + 1], 3, 5)
            assert torch.allclose(found[s : s + 1, e : e + 1], alone, atol=1e-14)
    assert paste(found, at[:1, :1], 8, 8).shape == (4, 3, 2, 8, 8)


def test_the_centre_is_where_it_was_pasted() -> None:
    """Of a symmetric patch that lies inside, whatever the sides of the canvas; all channels together; the gradient too."""
    patch = torch.ones(1, 1, 2, 3, 4, dtype=torch.float64)
    for u, v in ((0.0, 0.0), (0.5, -0.3), (-0.7, 0.4)):
        found = centre(paste(patch, place(0, u, v), 30, 22))
        assert torch.allclose(found, place(0, u, v)[..., 1:], atol=1e-12)
    corner = torch.zeros(1, 1, 1, 5, 4, dtype=torch.float64)
    corner[..., 0, 3] = 7
    assert torch.allclose((centre(corner) / 2).tanh(), torch.tensor([0.75, -0.8], dtype=torch.float64), atol=1e-12)
    assert torch.autograd.gradcheck(centre, image(2, 3, 2, 4, 5).requires_grad_())


def test_the_conventions_are_those_of_grid_sample() -> None:
    """affine_grid with theta = [[s_w, 0, c_x], [0, s_h, c_y]], align_corners=False, zeros outside."""
    x, (a, u, v) = image(1, 1, 3, 11, 7), (0.3, -0.4, 0.9)
    s = math.exp(a / 4)
    theta = torch.tensor([[[4 / 7 * s, 0, math.tanh(u / 2)], [0, 5 / 11 * s, math.tanh(v / 2)]]], dtype=torch.float64)
    grid = F.affine_grid(theta, [1, 3, 5, 4], align_corners=False)
    wanted = F.grid_sample(x[0], grid, padding_mode="zeros", align_corners=False)
    assert torch.allclose(crop(x, place(a, u, v), 5, 4)[0], wanted, atol=1e-14)
