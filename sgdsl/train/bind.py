"""Fields meet nodes: a data set and an emitted model's nodes come in, checked columns of tensors go out (E0624–E0630)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from sgdsl.base.diagnostics import Diagnostic
from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.columns import column_names, field_of
from sgdsl.train.copies import Numbers, Ranges, by_copies, check_labels, copies_of
from sgdsl.train.dataset import Array, Dataset, Field, Mask
from sgdsl.train.errors import DataError, data_error
from sgdsl.train.misfits import absent, nameless, outside, renumbered, said
from sgdsl.train.supports import cells_of, illegal, is_grey, markers, scale_of, store, support_name
from sgdsl.train.tables import Column as Column
from sgdsl.train.tables import Ink as Ink
from sgdsl.train.tables import Table as Table


@dataclass(frozen=True, slots=True)
class Rules:
    """What a file says about its data: `names` node → field, `binarise` none, threshold, dynamic or auto; `scales`: decisions
    of the training data, for later questions; `optional`: supervised nodes that may be absent; `greys`: unit, bytes or auto;
    `classes`: the names of classes by node, as the training data numbered them."""

    names: Mapping[str, str]
    binarise: str = "auto"
    scales: Mapping[str, int] | None = None
    optional: Collection[str] = ()
    greys: str = "auto"
    classes: Mapping[str, Sequence[str]] | None = None


NO_LOOPS: Ranges = {}


def bind(dataset: Dataset, nodes: Mapping[str, NodeInfo], rules: Rules, ranges: Ranges = NO_LOOPS) -> Table:
    """A column for each observed, given and supervised node. Raises DataError with everything that is wrong."""
    columns: dict[str, Column] = {}
    notes, wrong = list(dataset.notes), list[Diagnostic]()
    for name, info in sorted(
        nodes.items(), key=lambda item: len(item[1].loops)
    ):  # the k of a loop before what it counts
        field = field_of(dataset.fields, rules.names.get(name, name))
        if info.role == "latent" or (field is None and name in rules.optional):
            continue
        try:
            if field is None:
                raise absent(name, info, dataset, rules.names.get(name, name))
            nameless(name, info, field)
            field = renumbered(name, field, (rules.classes or {}).get(name, ()))
            numbers = _numbers(info, ranges, columns, nodes, dataset.rows)
            columns[name] = column = _copied_column(name, info, field, rules, ranges, numbers)
            notes += said(name, info, column.scale, column.ink, field)
        except DataError as error:
            wrong += error.diagnostics
    if wrong:
        raise DataError(wrong)
    if rules.binarise in ("threshold", "dynamic") and not any(_inked(nodes[n]) for n in columns):
        message = f"`binarise = {rules.binarise}` has no node to work on: no unit or binary node is Bernoulli under p"
        raise data_error("E0630", message, hint="write `binarise = none`, or give the node a Bernoulli factor")
    used = {n for node in columns for n in column_names(dataset.fields, rules.names.get(node, node))}
    unread = [n for n in dataset.fields if n not in used]
    _refuse_masks(unread, dataset, [n for n, info in nodes.items() if info.role == "supervised" or info.partial])
    idle = [f"`{n}`" for n in unread]
    notes += [f"{', '.join(idle)}: in the data, but no node reads {'it' if len(idle) == 1 else 'them'}"] * bool(idle)
    counts = {n: tuple(ranges[r].count for r in i.loops if ranges[r].count) for n, i in nodes.items()}
    limits = {n: tuple(k for k in ks if k in nodes and nodes[k].role == "supervised") for n, ks in counts.items()}
    limits = {n: ks for n, ks in limits.items() if ks and n in columns}
    return Table(columns, dataset.rows, tuple(notes), _counted(dataset, columns, rules), limits)


def _counted(dataset: Dataset, nodes: Collection[str], rules: Rules) -> dict[str, str]:
    """Nodes of counted fields, with the node of the count."""
    fields = {name: rules.names.get(name, name) for name in nodes}
    readers = {of: name for name, of in fields.items()}
    return {name: readers.get(dataset.counted[of], "") for name, of in fields.items() if of in dataset.counted}


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
    scale = scale_of(info, values[there], (rules.scales or {}).get(name, 0), rules.greys)
    values = values if there.all() else _without(values, there, 1 if info.support == "positive" else info.first)
    ink = rules.binarise if _inked(info) else "none"
    image = len(info.event) > 1 or field.values.ndim > 2
    greys = ink in ("threshold", "dynamic") or (ink == "auto" and image)
    bad = illegal(info, values[known], scale, greys)
    if bad.any():
        raise outside(name, info, field, values, known, bad)
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
            message = f"{_gap(field, nan, row)}: a value is missing, but `{name}` is {info.role}"
            notes = [f"{int(gaps.sum()):,} rows have missing values"] if gaps.sum() > 1 else []
            hint = "drop such rows, or fill them in: only labels may be missing"
            hint += f"; or declare it: observed {name} : {_short(info)} partial" if info.role == "observed" else ""
            raise data_error("E0627", message, hint=hint, notes=notes)
        return np.ones(len(values), bool)
    missing = nan if field.known is not None else markers(info, values, field.nan_only)
    flat = missing.reshape(len(missing), -1)
    if field.known is not None:
        if (flat.any(1) & field.known).any():
            row = int(np.flatnonzero(flat.any(1) & field.known)[0])
            raise data_error("E0628", f"{field.place(row)}: the mask says that `{name}` is known, but its value is NaN")
        return field.known
    partly = flat.any(1) & ~flat.all(1)
    if partly.any():
        row = int(np.flatnonzero(partly)[0])
        message = f"{_gap(field, missing, row)}: `{name}` is known in some of its cells only"
        raise data_error(
            "E0628", message, hint="a label is known as a whole or not at all; declare a node for each part"
        )
    return np.logical_not(flat.any(1))


def _gap(field: Field, missing: Mask, row: int) -> str:
    """The place of a row's first missing cell."""
    cells = np.flatnonzero(missing[row].reshape(-1))
    return field.place(row, int(cells[0]) if len(cells) else 0)
