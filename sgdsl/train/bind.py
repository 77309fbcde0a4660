"""Fields meet nodes: a data set and an emitted model's nodes come in, checked columns of tensors go out (E0624–E0630)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from sgdsl.base.diagnostics import Diagnostic
from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.copies import Numbers, Ranges, by_copies, check_labels, copies_of
from sgdsl.train.dataset import Array, Dataset, Field, Mask
from sgdsl.train.errors import DataError, data_error
from sgdsl.train.supports import Form, cells_of, illegal, is_grey, markers, scale_of, store, support_name

Ink = Literal["none", "threshold", "dynamic"]


@dataclass(frozen=True, slots=True)
class Column:
    """A node's data, in loops [rows, copies, …] instead of [rows] throughout. `values` [rows, *event] as stored (see supports.Stored); `known` [rows], where the data has a value;
    `ink`: how grey levels become 0 and 1; `scale`: 255 where the field's numbers were bytes; `present` [rows, *event]: which
    cells of a partial node are there."""

    values: Tensor
    known: Tensor
    form: Form
    ink: Ink = "none"
    scale: int = 1
    present: Tensor | None = None

    def to(self, device: torch.device) -> Column:
        present = None if self.present is None else self.present.to(device)
        return Column(self.values.to(device), self.known.to(device), self.form, self.ink, self.scale, present)


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of every node that has data, and what was decided about them. `counts[y]`: the supervised k of the loops
    `1..k` that the node y is in."""

    columns: Mapping[str, Column]
    rows: int
    notes: tuple[str, ...] = ()
    counts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to(self, device: torch.device) -> Table:
        columns = {name: column.to(device) for name, column in self.columns.items()}
        return replace(self, columns=columns)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a file says about its data: `names` node → field, `binarise` none, threshold, dynamic or auto; `scales`: decisions
    of the training data, for later questions; `optional`: supervised nodes that may be absent."""

    names: Mapping[str, str]
    binarise: str = "auto"
    scales: Mapping[str, int] | None = None
    optional: Collection[str] = ()


NO_LOOPS: Ranges = {}


def bind(dataset: Dataset, nodes: Mapping[str, NodeInfo], rules: Rules, ranges: Ranges = NO_LOOPS) -> Table:
    """A column for each observed, given and supervised node. Raises DataError with everything that is wrong."""
    columns: dict[str, Column] = {}
    notes, wrong = list(dataset.notes), list[Diagnostic]()
    for name, info in sorted(
        nodes.items(), key=lambda item: len(item[1].loops)
    ):  # the k of a loop before what it counts
        field = dataset.fields.get(rules.names.get(name, name))
        if info.role == "latent" or (field is None and name in rules.optional):
            continue
        try:
            if field is None:
                raise _missing(name, info, dataset, rules)
            columns[name] = column = _copied_column(
                name, info, field, rules, ranges, _numbers(info, ranges, columns, nodes, dataset.rows)
            )
            notes += _said(name, info, column, field)
        except DataError as error:
            wrong += error.diagnostics
    if wrong:
        raise DataError(wrong)
    if rules.binarise in ("threshold", "dynamic") and not any(_inked(nodes[n]) for n in columns):
        message = f"`binarise = {rules.binarise}` has no node to work on: no unit or binary node is Bernoulli under p"
        raise data_error("E0630", message, hint="write `binarise = none`, or give the node a Bernoulli factor")
    used = {rules.names.get(name, name) for name in columns}
    unread = [n for n in dataset.fields if n not in used]
    _refuse_masks(unread, dataset, [n for n, info in nodes.items() if info.role == "supervised" or info.partial])
    idle = [f"`{n}`" for n in unread]
    notes += [f"{', '.join(idle)}: in the data, but no node reads {'it' if len(idle) == 1 else 'them'}"] * bool(idle)
    counts = {n: tuple(ranges[r].count for r in i.loops if ranges[r].count) for n, i in nodes.items()}
    limits = {n: tuple(k for k in ks if k in nodes and nodes[k].role == "supervised") for n, ks in counts.items()}
    return Table(columns, dataset.rows, tuple(notes), {n: ks for n, ks in limits.items() if ks and n in columns})


def _refuse_masks(unread: list[str], dataset: Dataset, masked: list[str]) -> None:
    """A mask under another name than `y_known` would leave everything known. Raises DataError: E0628."""
    for field in unread:
        node = next((n for n in masked if field.startswith(f"{n}_")), None)
        values = dataset.fields[field].values
        if node and values.ndim == 1 and bool(np.isin(values, (0, 1)).all()):
            message = f"`{field}` looks like a mask of `{node}`, but it has another name than a mask"
            raise data_error("E0628", message, hint=f"call it `{node}_known`, true where it is known; or leave it out")


def _copied_column(name: str, info: NodeInfo, field: Field, rules: Rules, ranges: Ranges, numbers: Numbers) -> Column:
    """One node's data, or that of its copies. Raises DataError: as `_column` does, E0641."""
    flat = by_copies(name, info, field, ranges, numbers)
    column = _column(name, info, flat, rules)
    if not info.loops:
        return column
    if info.role == "supervised":
        check_labels(name, info, flat, column.known.numpy(), ranges, numbers)
    shape = (len(field.values), *copies_of(info, ranges))
    present = None if column.present is None else column.present.reshape(*shape, *info.event)
    return replace(
        column, values=column.values.reshape(*shape, *info.event), known=column.known.reshape(shape), present=present
    )


def _numbers(
    info: NodeInfo, ranges: Ranges, columns: Mapping[str, Column], nodes: Mapping[str, NodeInfo], rows: int
) -> Numbers:
    """Values and known rows of the k of a node's loops `1..k`; a latent one is nowhere known."""
    found = {}
    for k in (ranges[name].count for name in info.loops):
        if k in columns:
            found[k] = (columns[k].values.numpy(), columns[k].known.numpy())
        elif k in nodes and nodes[k].role == "latent":
            found[k] = (np.zeros(rows, np.int64), np.zeros(rows, bool))
    return found


def _column(name: str, info: NodeInfo, field: Field, rules: Rules) -> Column:
    """One node's data. Raises DataError: E0625, E0626, E0627, E0628."""
    values = _shaped(name, info, field)
    present = cells_of(info, field, values) if info.partial else None
    known = np.ones(len(values), bool) if present is not None else _known(name, info, field, values)
    there = known if present is None else present
    scale = scale_of(info, values[there], (rules.scales or {}).get(name, 0))
    values = values if there.all() else _without(values, there, 1 if info.support == "positive" else info.first)
    ink = rules.binarise if _inked(info) else "none"
    image = len(info.event) > 1 or field.values.ndim > 2
    greys = ink in ("threshold", "dynamic") or (ink == "auto" and image)
    bad = illegal(info, values[known], scale, greys)
    if bad.any():
        raise _outside(name, info, field, values, known, bad)
    stored = store(info, values, scale)
    how: Ink = "none"
    if ink != "none" and greys and is_grey(stored):
        how = "threshold" if ink == "threshold" else "dynamic"
    mask = None if present is None else _tensor(present)
    return Column(_tensor(stored.values), torch.from_numpy(known), stored.form, how, scale, mask)


def _tensor(values: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))


def _inked(info: NodeInfo) -> bool:
    return info.support in ("unit", "binary") and info.family_p == "bernoulli"


def _without(values: Array, known: Mask, fill: int) -> Array:
    """Something legal to store in rows, or cells, that are not known; the batch puts its own dummy there."""
    kept = values.copy()
    kept[~known] = fill
    return kept


# --- shapes ---------------------------------------------------------------------------------------------------


def _shaped(name: str, info: NodeInfo, field: Field) -> Array:
    """[rows, *event]: as it is; with or without sides of 1; flat or not; [h, w, c] for [c, h, w]."""
    values, event = field.values, info.event
    rows, shape = len(values), values.shape[1:]
    if shape == event:
        return values
    if [s for s in shape if s != 1] == [s for s in event if s != 1]:
        return values.reshape(rows, *event)
    if len(event) == 3 and len(shape) == 3 and (shape[2], *shape[:2]) == event:
        return np.moveaxis(values, 3, 1)
    flat = len(event) == 1 or len(shape) == 1
    if flat and int(np.prod(shape)) == int(np.prod(event)):
        return values.reshape(rows, *event)
    message = f"{field.name} has rows of shape {list(shape)}, `{name}` is {_short(info)}, of shape {list(event)}"
    one_hot = info.support == "class" and shape == (*event, info.classes)
    hint = "give the class's number, not one-hot: labels.argmax(-1)" if one_hot else ""
    raise data_error(
        "E0625", message, hint=hint or f"declare `{name}` with the shape {list(shape)}, or reshape the array"
    )


def _short(info: NodeInfo) -> str:
    return support_name(info).split(":")[0]


# --- masks ----------------------------------------------------------------------------------------------------


def _known(name: str, info: NodeInfo, field: Field, values: Array) -> Mask:
    """Which rows have a value, [rows]."""
    nan = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    if info.role != "supervised":
        gaps = nan.reshape(len(nan), -1).any(1)
        if field.known is not None:
            gaps = gaps | ~field.known
        if gaps.any():
            row = int(np.flatnonzero(gaps)[0])
            message = f"{field.place(row)}: a value is missing, but `{name}` is {info.role}"
            notes = [f"{int(gaps.sum()):,} rows have missing values"]
            raise data_error(
                "E0627", message, hint="drop such rows, or fill them in; only labels may be missing", notes=notes
            )
        return np.ones(len(values), bool)
    missing = nan if field.known is not None else markers(info, values)
    flat = missing.reshape(len(missing), -1)
    if field.known is not None:
        if (flat.any(1) & field.known).any():
            row = int(np.flatnonzero(flat.any(1) & field.known)[0])
            raise data_error("E0628", f"{field.place(row)}: the mask says that `{name}` is known, but its value is NaN")
        return field.known
    partly = flat.any(1) & ~flat.all(1)
    if partly.any():
        row = int(np.flatnonzero(partly)[0])
        message = f"{field.place(row)}: `{name}` is known in some of its cells only"
        raise data_error(
            "E0628", message, hint="a label is known as a whole or not at all; declare a node for each part"
        )
    return np.logical_not(flat.any(1))


# --- words ----------------------------------------------------------------------------------------------------


def _missing(name: str, info: NodeInfo, dataset: Dataset, rules: Rules) -> DataError:
    wanted = rules.names.get(name, name)
    near = get_close_matches(wanted, list(dataset.fields), 1)
    fields = ", ".join(f"`{n}`" for n in dataset.fields)
    hint = f"did you mean `{near[0]}`? " if near else ""
    message = f"{dataset.source}: no field `{wanted}` for the {info.role} node `{name}`; fields: {fields}"
    return data_error("E0624", message, hint=f"{hint}bind it by name: data …({name} = {near[0] if near else 'FIELD'})")


def _outside(name: str, info: NodeInfo, field: Field, values: Array, known: Mask, bad: Mask) -> DataError:
    """`bad` [known rows, *cells]: where the known values are not legal."""
    per_row = bad.reshape(len(bad), -1).any(1)
    row = int(np.flatnonzero(known)[per_row][0])
    cell = bad[per_row][0]
    what = f"{values[row][cell].reshape(-1)[0]:.6g}" if cell.shape == values[row].shape else "its vector"
    notes = [f"{int(per_row.sum()):,} rows hold such values"] if per_row.sum() > 1 else []
    low, high = values[known].min(), values[known].max()
    hint = ""
    if info.support == "binary" and low >= 0 and high <= 255:
        hint = "grey levels become 0 and 1 by `binarise = dynamic` or `threshold`, where p is Bernoulli"
    elif info.support == "unit":
        hint = f"its values go from {low:.6g} to {high:.6g}: divide by the largest possible one"
    elif info.support == "class" and low == 1 and high == info.classes:
        hint = "classes count from 0: subtract 1"
    message = f"{field.place(row)}: {what} is outside of `{name}`, {support_name(info)}"
    return data_error("E0626", message, hint=hint, notes=notes)


def _said(name: str, info: NodeInfo, column: Column, field: Field) -> list[str]:
    """What was decided about a field without being told."""
    said = []
    if column.scale == 255:
        said.append(f"`{name}`: 0 … 255 read as 0 … 1")
    if info.event != field.values.shape[1:] and np.moveaxis(field.values[:1], -1, 1).shape[1:] == info.event != ():
        said.append(f"`{name}`: channels moved in front, {list(field.values.shape[1:])} to {list(info.event)}")
    if column.ink == "dynamic":
        said.append(f"`{name}`: each value is 1 with its grey level as probability, drawn afresh at every step")
    return said
