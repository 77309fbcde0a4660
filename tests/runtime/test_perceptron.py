"""Layers as one function: the same numbers and gradients as the layers one after another, on every kind of input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sgdsl.runtime import few
from sgdsl.runtime.first_layer import FEW_CLASSES, NARROW
from sgdsl.runtime.once import Varying
from sgdsl.runtime.perceptron import Read, affine, heads, through

SAMPLES, ROWS, CLASSES, WIDE = 3, 4, 5, NARROW + 3
UP = torch.tensor([0, 0, 1, 2, 2, 2, 3])


@pytest.fixture(autouse=True)
def _double(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(few, "FEW", 0)  # the tests' inputs are few
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def real(lead: tuple[int, int], width: int) -> Tensor:
    return torch.randn(*lead, width, requires_grad=True)


def label(lead: tuple[int, int], classes: int = CLASSES) -> Read:
    return Read(torch.randint(0, classes, lead), classes=classes)


INPUTS = {
    "one": lambda: [real((SAMPLES, 7), 6)],
    "narrow ones side by side": lambda: [real((1, 7), 2), real((1, 7), 3), real((SAMPLES, 7), 4)],
    "a wide one beside a narrow one": lambda: [real((1, 7), WIDE), real((1, 7), 2)],
    "rows below entries": lambda: [Read(real((1, ROWS), 3), UP), real((SAMPLES, 7), 2)],
    "all below": lambda: [Read(real((SAMPLES, ROWS), 3), UP), Read(real((1, ROWS), 2), UP)],
    "a class beside samples": lambda: [label((1, 7)), Read(real((SAMPLES, ROWS), 3), UP)],
    "one of many classes": lambda: [label((1, 7), FEW_CLASSES + 1), Read(real((SAMPLES, ROWS), 3), UP)],
    "a class on the entries of one sample": lambda: [Read(real((1, ROWS), WIDE), UP), label((1, 7)), real((1, 7), 2)],
    "a class alone": lambda: [label((SAMPLES, 7))],
    "a class of rows": lambda: [Read(label((1, ROWS)).value, UP, CLASSES), real((1, 7), 2)],
    "samples of rows, entries of one sample": lambda: [real((SAMPLES, 1), 2), real((1, 7), 3)],
}


def plain(inputs: Sequence[Tensor | Read]) -> Tensor:
    """What the first layer reads, side by side on one level."""
    parts = [i if isinstance(i, Read) else Read(i) for i in inputs]
    full = [F.one_hot(p.value, p.classes).double() if p.classes else p.value for p in parts]
    full = [v if p.up is None else v[:, p.up] for v, p in zip(full, parts, strict=True)]
    lead = torch.broadcast_shapes(*(v.shape[:2] for v in full))
    return torch.cat([v.expand(*lead, -1) for v in full], -1)


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("behind", [0, 1, 3, 5])
@pytest.mark.parametrize("limit", [0, 10**6])
def test_value_and_gradient_are_those_of_the_layers(
    name: str, behind: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Protects every kind of input, many and few, and runs that end behind a layer, a ReLU, or something that is neither: to
    1e-12."""
    monkeypatch.setattr(few, "FEW", limit)
    inputs = INPUTS[name]()
    joined = plain(inputs)
    layers = [nn.ReLU(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 4), nn.Tanh()][:behind]
    net = nn.Sequential(nn.Linear(joined.shape[-1], 4), *layers)
    leaves = [i.value if isinstance(i, Read) else i for i in inputs]
    leaves = [*net.parameters(), *(v for v in leaves if v.requires_grad)]
    expected = net(joined)
    slope = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, leaves, slope)
    found = through(net, *inputs)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for one, other in zip(torch.autograd.grad(found, leaves, slope), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    if not behind:
        torch.testing.assert_close(affine(net[0], *inputs), expected, rtol=1e-12, atol=1e-12)


def test_weights_that_stand_still_pass_gradients_to_inputs_alone() -> None:
    """Protects frozen models and dreg, which reads q with fixed weights."""
    net, x = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)).requires_grad_(False), real((1, 7), 6)
    through(net, x).sum().backward()
    assert x.grad is not None
    assert bool(x.grad.abs().sum() > 0)
    assert all(p.grad is None for p in net.parameters())
    for layer in (net[0], net[2]):
        bias = layer.bias.requires_grad_()
        torch.testing.assert_close(
            torch.autograd.grad(through(net, x).sum(), bias), torch.autograd.grad(net(x).sum(), bias)
        )


def test_a_second_derivative_is_refused() -> None:
    """Protects against a wrong one in silence."""
    net, x = nn.Sequential(nn.Linear(6, 4), nn.ReLU()), real((1, 7), 6)
    with pytest.raises(RuntimeError, match="differentiable once"):
        torch.autograd.grad(through(net, x).sum(), x, create_graph=True)


def test_autocast_computes_in_bfloat16_and_gives_gradients_in_float32() -> None:
    """Protects the precision bf16: as close to float32 as the layers themselves are under autocast."""
    net = nn.Sequential(nn.Linear(6 + CLASSES, 64), nn.ReLU(), nn.Linear(64, 8)).float()
    inputs = [torch.randn(1, 7, 6, dtype=torch.float32), label((1, 7))]
    joined = plain(inputs).float()
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = through(net, *inputs), net(joined)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=2e-2)
    slopes = [torch.autograd.grad(v.float().square().sum(), list(net.parameters())) for v in (found, expected)]
    for one, other in zip(*slopes, strict=True):
        assert one.dtype == torch.float32
        assert float((one - other).norm() / other.norm()) < 2e-2  # 8 bits a product


@pytest.mark.parametrize("trunk", [[nn.Linear(6, 4), nn.ReLU()], [nn.Linear(6, 4)], [nn.Linear(6, 4), nn.Tanh()]])
def test_heads_are_their_layers(trunk: list[nn.Module]) -> None:
    """Protects the order of the heads, and their gradients, behind a ReLU and behind what is none."""
    net, x, loc, scale = nn.Sequential(*trunk).double(), real((2, 7), 6), nn.Linear(4, 3), nn.Linear(4, 2)
    expected = loc(net(x)), scale(net(x))
    leaves = [x, *net.parameters(), *loc.parameters(), *scale.parameters()]
    wanted = torch.autograd.grad(sum(v.square().sum() for v in expected), leaves)
    for found in (through(net, x, then=[loc, scale]), heads(through(net, x), loc, scale)):
        slopes = torch.autograd.grad(sum(v.square().sum() for v in found), leaves, retain_graph=True)
        for one, other in zip((*found, *slopes), (*expected, *wanted), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(through(net, x, then=loc), expected[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("same", [(), (0, 2), (0, 1, 2, 3)])
def test_entries_that_are_the_same_are_computed_once(same: tuple[int, ...]) -> None:
    """Protects values and their number: none, some, all entries alike."""
    apart = [i for i in range(ROWS) if i not in same]
    value = torch.randn(SAMPLES, ROWS, 2)
    value[:, list(same)] = value[:1, list(same)]
    row = torch.randn(1, ROWS, 2)
    once = Varying(torch.tensor(same, dtype=torch.int64), torch.tensor(apart, dtype=torch.int64)).over(SAMPLES)
    computed = once.into(value) + (row if once.entry is None else row[:, once.entry])
    assert computed.shape[0] * computed.shape[1] == len(same) + SAMPLES * len(apart)
    assert torch.equal(once.back(computed)[0], value + row)
    assert torch.equal(once.of(torch.arange(ROWS)), torch.arange(ROWS) if once.entry is None else once.entry)
