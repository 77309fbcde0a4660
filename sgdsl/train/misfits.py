"""A field and a node that do not meet come in, the diagnostic goes out; and what was decided without being told, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches

import numpy as np

from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.columns import numbered
from sgdsl.train.dataset import Array, Dataset, Field, Mask
from sgdsl.train.errors import DataError, data_error
from sgdsl.train.supports import LEVELS, support_name

SHOWN = 12  # classes that a note names


def absent(name: str, info: NodeInfo, dataset: Dataset, wanted: str) -> DataError:
    """E0624: no field `wanted` for a node."""
    groups = numbered(dataset.fields)
    grouped = {name for names in groups.values() for name in names}
    names = [n for n in dataset.fields if n not in grouped] + [f"{stem}_0 …" for stem in groups]
    near = get_close_matches(wanted, [*names, *groups], 1)
    fields = ", ".join(f"`{n}`" for n in names)
    hint = f"did you mean `{near[0]}`? " if near else ""
    message = f"{dataset.source}: no field `{wanted}` for the {info.role} node `{name}`; fields: {fields}"
    field = near[0] if near else "FIELD"
    return data_error(
        "E0624", message, hint=f"{hint}bind it by name: data …({name} = {field}), or --bind {name}={field}"
    )


def outside(name: str, info: NodeInfo, field: Field, values: Array, known: Mask, bad: Mask) -> DataError:
    """E0626. `bad` [known rows, *cells]: where the known values are not legal."""
    per_row = bad.reshape(len(bad), -1).any(1)
    row = int(np.flatnonzero(known)[per_row][0])
    cell = bad[per_row][0]
    what = f"{values[row][cell].reshape(-1)[0]:.6g}" if cell.shape == values[row].shape else "its vector"
    notes = [f"{int(per_row.sum()):,} rows hold such values"] if per_row.sum() > 1 else []
    low, high = values[known].min(), values[known].max()
    hint = ""
    if field.nan_only and what == "-1":
        hint = '−1 is a number in such a file; say that it means unknown: data csv(…, missing = "-1")'
    elif info.support == "binary" and low >= 0 and high <= 255:
        hint = "grey levels become 0 and 1 by `binarise = dynamic` or `threshold`, where p is Bernoulli"
    elif info.family_p == LEVELS and low >= 0 and high <= 1:
        hint = f"bring its values to the nearest levels: numpy.rint(255 * {name}) / 255; Normal and Beta take any"
    elif info.support == "unit":
        hint = f"its values go from {low:.6g} to {high:.6g}: divide by the largest possible one"
    elif info.support == "simplex":
        hint = f"shares are at least 0 and sum to 1: {name} / {name}.sum(-1, keepdims = True)"
    elif info.support == "direction":
        hint = f"a direction has length 1: {name} / numpy.linalg.norm({name}, axis = -1, keepdims = True)"
    elif info.support == "angle":
        degrees = "degrees become radians by numpy.deg2rad; " if max(-low, high) > 7.5 else ""
        hint = f"{degrees}whole turns go by numpy.angle(numpy.exp(1j * {name}))"
    elif info.support == "class" and field.classes:
        what = f"`{field.classes[int(float(what))]}`, number {what},"
        shown = ", ".join(field.classes[: 2 * SHOWN])
        hint = f"{len(field.classes)} names stand there, is one misspelled? {shown}; else declare class({len(field.classes)})"
    elif info.support == "class" and low == 1 and high == info.classes:
        hint = "classes count from 0: subtract 1"
    message = f"{field.place(row, int(np.flatnonzero(cell.reshape(-1))[0]))}: {what} is outside of `{name}`, {support_name(info)}"
    return data_error("E0626", message, hint=hint, notes=notes)


def nameless(name: str, info: NodeInfo, field: Field) -> None:
    """Raises DataError: E0626 for names of classes where a node has numbers."""
    if field.classes and info.support not in ("class", "range", "binary"):
        message = f"{field.name} holds names, such as `{field.classes[0]}`, but `{name}` is {support_name(info)}"
        hint = f"numbers have no units, percent signs or blanks; names are class({len(field.classes)})"
        raise data_error("E0626", message, hint=hint)


def renumbered(name: str, field: Field, before: Sequence[str]) -> Field:
    """A field whose names of classes have the numbers that the training data gave them, `before`.
    Raises DataError: E0626 for a name that was not there."""
    if not before or not field.classes or tuple(before) == field.classes:
        return field
    stranger = next((i for i, c in enumerate(field.classes) if c not in before and (field.values == i).any()), None)
    if stranger is not None:
        row = int(np.flatnonzero((field.values == stranger).reshape(len(field.values), -1).any(1))[0])
        message = (
            f"{field.place(row)}: `{field.classes[stranger]}` is no class of `{name}` that the model was trained on"
        )
        raise data_error("E0626", message, hint=f"its classes: {', '.join(before[: 2 * SHOWN])}")
    values = field.values.copy()
    for i, c in enumerate(field.classes):
        if c in before:
            values[field.values == i] = before.index(c)
    return replace(field, values=values, classes=tuple(before))


def said(name: str, info: NodeInfo, scale: int, ink: str, field: Field) -> list[str]:
    """What was decided about a field without being told."""
    found = []
    if scale == 255:
        found.append(f"`{name}`: 0 … 255 read as 0 … 1")
    shape = field.values.shape[1:]
    if len(shape) > 1 and info.event != shape and (shape[-1], *shape[:-1]) == info.event:
        found.append(f"`{name}`: channels moved in front, {list(field.values.shape[1:])} to {list(info.event)}")
    if ink == "dynamic":
        found.append(f"`{name}`: each value is 1 with its grey level as probability, drawn afresh at every step")
    if field.classes and info.role != "latent":
        shown = ", ".join(f"{c} = {i}" for i, c in enumerate(field.classes[:SHOWN]))
        found.append(f"`{name}`: {shown}{', …' if len(field.classes) > SHOWN else ''}")
    return found
