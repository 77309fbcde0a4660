"""The tables: shape rules against numpy and the formula of a strided convolution, targets against what is there."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sgdsl
from sgdsl.catalog.datasets import DATASETS
from sgdsl.catalog.families import FAMILIES, SIDES
from sgdsl.catalog.functions import FUNCTIONS
from sgdsl.catalog.networks import NETWORKS, weights
from sgdsl.catalog.shapes import Misfit, Shape, broadcast, fits
from sgdsl.frontend.names import RESERVED, SYNONYMS
from sgdsl.frontend.planned import PLANNED_NAMES

PACKAGE = Path(sgdsl.__file__).parent


def defined(module: str) -> set[str]:
    """The functions and names that a module of the package defines or imports, without importing it."""
    path = PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {n.name for n in tree.body if isinstance(n, ast.FunctionDef)} | {
        alias.asname or alias.name for n in tree.body if isinstance(n, ast.ImportFrom) for alias in n.names
    }


@pytest.mark.parametrize(
    "shapes", [((3,), (3,)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (4,)), ((2, 3), ()), ((1,), (5,))]
)
def test_broadcast_is_numpys(shapes: tuple[Shape, Shape]) -> None:
    """Protects the rule of every operation in an expression."""
    assert broadcast(*shapes) == np.broadcast_shapes(*shapes)
    assert fits(shapes[0], broadcast(*shapes))


@pytest.mark.parametrize("shapes", [((3,), (4,)), ((2, 3), (2,))])
def test_broadcast_refuses_what_numpy_refuses(shapes: tuple[Shape, Shape]) -> None:
    """Protects from shapes that would fail only on a tensor."""
    with pytest.raises(Misfit):
        broadcast(*shapes)
    assert not fits(shapes[0], shapes[1])


@pytest.mark.parametrize(
    ("name", "shapes", "axis", "numpy"),
    [
        ("sum", ((2, 3, 4),), None, np.sum),
        ("sum", ((2, 3, 4),), 1, lambda a: np.sum(a, 1)),
        ("mean", ((2, 3),), -1, lambda a: np.mean(a, -1)),
        ("max", ((2, 3),), 0, lambda a: np.max(a, 0)),
        ("last", ((2, 3),), 0, lambda a: a[-1]),
        ("stack", ((2, 3), (2, 3)), None, lambda a, b: np.stack([a, b])),
        ("concat", ((2,), (3,)), None, lambda a, b: np.concatenate([a, b])),
        ("concat", ((2, 3), (2, 4)), 1, lambda a, b: np.concatenate([a, b], 1)),
        ("dot", ((2, 3), (3,)), None, lambda a, b: (a * b).sum(-1)),
        ("clamp", ((2, 3), (), (3,)), None, np.clip),
        ("exp", ((2, 3),), None, np.exp),
        ("centre", ((2, 3, 4),), None, lambda a: np.zeros(2)),
    ],
)
def test_function_shapes_are_numpys(
    name: str, shapes: tuple[Shape, ...], axis: int | None, numpy: Callable[..., np.ndarray]
) -> None:
    """Protects the shape that the compiler promises for each function."""
    assert FUNCTIONS[name].rule(shapes, axis) == np.shape(numpy(*(np.ones(s) for s in shapes)))


@pytest.mark.parametrize("side", range(2, 40))
def test_conv_and_deconv_mirror_each_other(side: int) -> None:
    """Protects ⌊h/2ⁿ⌋: it is what kernel 4, stride 2, padding 1 leaves, and where a deconv starts."""
    layers, height = 0, side
    while (height + 2 * 1 - 4) // 2 + 1 > 0:
        height, layers = (height + 2 * 1 - 4) // 2 + 1, layers + 1
        sizes = tuple(range(1, layers + 1))
        assert NETWORKS["conv"].rule((3, side, side), sizes) == (layers, height, height)
        assert NETWORKS["deconv"].rule((3, side, side), sizes[::-1]) == (layers, height, height)
    with pytest.raises(Misfit):
        NETWORKS["conv"].rule((3, side, side), tuple(range(layers + 1)))


def test_weights_are_counted() -> None:
    """Protects the limit on the size of a layer."""
    assert weights("mlp", (784,), (500, 20)) == 784 * 500
    assert weights("conv", (3, 32, 32), (8, 16)) == 16 * 8 * 16
    assert weights("deconv", (50,), (8, 4)) == 16 * 8 * 4
    assert weights("resnet", (3, 32, 32), (8, 16)) == 9 * 16 * 16
    assert weights("embed", (1000,), (8,)) == 8 * 1000
    assert weights("gru", (50,), (8,)) == 3 * 8 * 50
    assert weights("lstm", (50,), (8,)) == 4 * 8 * 50


def test_every_reader_is_there() -> None:
    """Protects `data NAME` from pointing at nothing."""
    for row in DATASETS.values():
        if row.target is not None:
            module, _, function = row.target.partition(":")
            assert function in defined(module)


def test_words_do_not_clash() -> None:
    """Protects the reserved words: one meaning each, and synonyms lead to something."""
    tables = (set(FAMILIES), set(FUNCTIONS), set(NETWORKS), set(SIDES), set(PLANNED_NAMES), {"table", "learned"})
    assert sum(map(len, tables)) == len(set().union(*tables)) == len(RESERVED)
    assert set(SYNONYMS.values()) <= RESERVED
