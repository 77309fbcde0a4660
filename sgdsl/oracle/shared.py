"""Weights by attributes of a module come in; weights under the names of nets and lets, and of written-out copies, go out."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from sgdsl.middle.unrolled import Unrolled


def shared(flat: Unrolled, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All tensors, and those of each let and factor once more for each of its copies: the same tensors, so that gradients
    add up. Order within a let or factor is kept."""
    found = dict(state)
    owners: dict[str, list[str]] = {}
    for copy, owner in flat.weights.items():
        if copy != owner:
            owners.setdefault(owner, []).append(copy)
    for owner, made in owners.items():
        own = [(n.removeprefix(owner), t) for n, t in state.items() if n.startswith(f"{owner}.")]
        found.update((f"{copy}{rest}", tensor) for copy in made for rest, tensor in own)
    return found


def renamed(modules: Mapping[str, str], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`modules`: the attribute of each net and let; other names stay."""
    names = {module: name for name, module in modules.items()}
    found = {}
    for name, tensor in state.items():
        owner, dot, rest = name.partition(".")
        found[f"{names.get(owner, owner)}{dot}{rest}"] = tensor
    return found
