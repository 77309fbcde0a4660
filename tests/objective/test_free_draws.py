"""Draws that no label weighs, beside groups of weights: read together with a group's samples, they must stay of one sample."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.objective.by_definition import Node
from tests.objective.enumerated import Tables


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def two_groups(x: tuple[str, ...], *more: Node, free: str = "latent") -> list[Node]:
    """z1 and z2 are weighed by a label each, `f` by none."""
    return [
        Node("x", "observed", 2, x),
        Node("z1", "latent", 2, (), ("x",), "score"),
        Node("z2", "latent", 2, (), ("x",), "score"),
        Node("f", free, 2, (), ("x",), "score"),
        Node("y1", "supervised", 2, (), ("z1",)),
        Node("y2", "supervised", 2, (), ("z2",)),
        *more,
    ]


CASES = {
    "a draw that reads both": two_groups(("v", "f", "z2"), Node("v", "latent", 2, (), ("z1", "f"), "score")),
    "an enumerated node that reads both": two_groups(("v", "f", "z2"), Node("v", "latent", 2, (), ("z1", "f"))),
    "an unknown label, drawn": two_groups(("y3", "f", "z2"), Node("y3", "supervised", 2, (), ("z1", "f"), "score")),
    "an unknown label, enumerated": two_groups(("y3", "f", "z2"), Node("y3", "supervised", 2, (), ("z1", "f"))),
    "shares of both": two_groups(
        ("e", "d", "z1", "f"), Node("e", "latent", 2, (), ("f",)), Node("d", "latent", 2, (), ("z2",))
    ),
    "a share and a term of p": two_groups(
        ("v", "z1"), Node("v", "latent", 2, (), ("z1", "f")), Node("u", "latent", 2, ("v", "z2", "f"), ("x",))
    ),
    "a draw of the free one": two_groups(
        ("y3", "v", "z2"),
        Node("y3", "supervised", 2, (), ("z1", "f"), "score"),
        Node("v", "latent", 2, (), ("f",), "score"),
    ),
    "the free one a label": two_groups(
        ("y3", "f", "z2"), Node("y3", "supervised", 2, (), ("z1", "f"), "score"), free="supervised"
    ),
    "a draw beside an enumerated node of both groups": two_groups(
        ("v", "f"), Node("u", "latent", 2, (), ("z1", "z2")), Node("v", "latent", 2, (), ("z1", "u"), "score")
    ),
    "tied to both groups": two_groups(
        ("y3", "y4"), Node("y3", "supervised", 2, (), ("z1", "f")), Node("y4", "supervised", 2, (), ("z2", "f"))
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_value_and_gradient_are_those_of_the_definition(case: str) -> None:
    """Protects dependence within a sample. The share or draw of v was of the f that z1's chosen sample had, and
    log p(x | v, f, z2) of another: E[bound] was that of no bound, off by up to 0.02 nats here."""
    found = Tables(CASES[case], "snis", 2).compare({"y1": 1, "y2": 0})
    torch.testing.assert_close(found.bound, found.expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(found.gradient, found.expected_gradient, rtol=0, atol=1e-10)
