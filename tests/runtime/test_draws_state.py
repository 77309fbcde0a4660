"""The state of draws, which checkpoints keep, and Means, which draws nothing."""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsl.runtime.densities_moments import mean_of
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.means import Means
from tests.runtime.families import COLUMNS, cells, draws


def all_kinds(d: Draws) -> list[Tensor]:
    logits = torch.tensor([0.1, 0.2, -1.0])
    drawn = [getattr(d, prefix)((3, 2, 3), *(torch.tensor(p) for p in COLUMNS[prefix])) for prefix in COLUMNS]
    relaxed = [
        d.gumbel((3, 2), logits, 0.5),
        d.straight_through((3, 2), logits),
        d.binary_gumbel((3, 2, 3), logits, 0.5),
    ]
    return [*drawn, *relaxed, d.binary_straight_through((3, 2, 3), logits), d.categorical((3, 2), logits)]


def test_state_repeats_to_the_bit() -> None:
    """Protects --resume: draws after restore are the draws after state, whatever was drawn between or elsewhere."""
    d = draws(7)
    all_kinds(d)
    state = d.state()
    first = all_kinds(d)
    assert torch.equal(state, state.clone())
    other = draws(99)
    all_kinds(other)
    torch.randn(3)
    for restored in (d, other):
        restored.restore(state)
        assert all(torch.equal(a, b) for a, b in zip(first, all_kinds(restored), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, all_kinds(d), strict=True))


def test_global_generator_is_left_alone() -> None:
    """Protects reproducibility: nothing is drawn from torch's own generator."""
    torch.manual_seed(0)
    before = torch.get_rng_state()
    all_kinds(draws())
    assert torch.equal(before, torch.get_rng_state())


def test_means_are_the_means() -> None:
    """Protects pictures: every family's mean in full size, a class's likeliest value, probabilities of relaxed draws."""
    means = Means(torch.Generator())
    for prefix in COLUMNS:
        found = getattr(means, prefix)((4, 2, 3), *cells(prefix))
        assert torch.equal(found, mean_of(prefix, cells(prefix)).expand(4, 2, 3))
    logits = torch.tensor([[0.1, 0.2, -1.0], [3.0, 0.0, 0.0]])
    assert torch.equal(means.categorical((4, 2), logits), torch.tensor([1, 0]).expand(4, 2))
    for relaxed in (means.gumbel((4, 2), logits, 0.5), means.straight_through((4, 2), logits)):
        assert torch.equal(relaxed, logits.softmax(-1).expand(4, 2, 3))
    for binary in (means.binary_gumbel((4, 2, 3), logits, 0.5), means.binary_straight_through((4, 2, 3), logits)):
        assert torch.equal(binary, logits.sigmoid().expand(4, 2, 3))


def test_means_leave_the_generator_alone() -> None:
    """Protects a run from being changed by a picture in the middle of it."""
    generator = torch.Generator().manual_seed(3)
    before = generator.get_state()
    all_kinds(Means(generator))
    assert torch.equal(before, generator.get_state())
