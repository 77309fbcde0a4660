"""From stored bytes to what a model reads."""

from __future__ import annotations

import pytest
import torch

from sgdsl.train.bind import Column
from sgdsl.train.feed import drawn_bytes, drawn_levels, read

ALL = torch.arange(256, dtype=torch.uint8)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_bytes_are_one_with_their_grey_level_as_probability() -> None:
    """Every level within 4 standard errors of v/255; black is never ink and white nearly always."""
    draws = 20_000
    noise = generator()
    mean = torch.stack([drawn_bytes(ALL, noise) for _ in range(draws)]).mean(0)
    level = ALL / 255
    assert (mean - level).abs().le(4 * (level * (1 - level) / draws).sqrt() + 2e-4).all()
    assert mean[0] == 0
    assert mean[255] > 0.9995


def test_cells_are_drawn_independently() -> None:
    """Eight cells share one random number, and rows the byte that decides where the first is equal: neither cells of a row
    nor rows of a cell may be correlated. 4 standard errors."""
    noise, grey = generator(), torch.full((4000, 12), 128, dtype=torch.uint8)
    drawn = drawn_bytes(grey, noise)
    assert (torch.corrcoef(drawn.T) - torch.eye(12)).abs().max() < 4 / 4000**0.5
    rows = torch.stack([drawn_bytes(grey[:6, :2], noise)[:, 0] for _ in range(4000)])
    assert (torch.corrcoef(rows.T) - torch.eye(6)).abs().max() < 4 / 4000**0.5


def test_a_second_byte_makes_the_probability_exact() -> None:
    """The share of ink at 254 is 254 / 255, and not 254 / 256, to within 4 standard errors of 2²⁴ cells."""
    cells = 1 << 24
    share = drawn_bytes(torch.full((64, cells // 64), 254, dtype=torch.uint8), generator()).double().mean()
    error = (cells * (254 / 255) * (1 / 255)) ** 0.5 / cells
    assert abs(share - 254 / 255) < 4 * error + 1 / 65536
    assert abs(share - 254 / 256) > 4 * error + 1 / 65536


@pytest.mark.parametrize("shape", [(1,), (3, 5), (7, 1, 3, 3)])
def test_any_number_of_cells_can_be_drawn(shape: tuple[int, ...]) -> None:
    drawn = drawn_bytes(torch.full(shape, 255, dtype=torch.uint8), generator())
    assert drawn.shape == shape
    assert drawn.dtype == torch.float32


def test_levels_that_are_no_bytes_are_drawn_too() -> None:
    noise, level = generator(), torch.tensor([0.0, 0.25, 1.0])
    mean = torch.stack([drawn_levels(level, noise) for _ in range(8000)]).mean(0)
    assert mean[[0, 2]].tolist() == [0, 1]
    assert abs(mean[1] - 0.25) < 4 * (0.1875 / 8000) ** 0.5


def test_a_column_is_drawn_afresh_and_repeats_with_its_generator() -> None:
    column = Column(ALL[:, None], torch.ones(256, dtype=torch.bool), "bytes", "dynamic", 255)
    index = torch.arange(256)
    noise = generator()
    first, second = read(column, index, noise), read(column, index, noise)
    assert not torch.equal(first, second)
    assert torch.equal(first, read(column, index, generator()))
    assert torch.allclose(read(column, index, None)[:, 0], ALL / 255)


def test_threshold_is_above_one_half() -> None:
    column = Column(ALL[:, None], torch.ones(256, dtype=torch.bool), "bytes", "threshold", 255)
    assert read(column, torch.tensor([127, 128]), generator()).ravel().tolist() == [0, 1]
