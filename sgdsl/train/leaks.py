"""What looks wrong with the rows before the first step: a data set, its columns and its labels come in, warnings go out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.bind import Table
from sgdsl.train.columns import field_of
from sgdsl.train.dataset import Array, Dataset, Index, Mask
from sgdsl.train.diagnosis import Finding
from sgdsl.train.labels import Split

CELLS = 64  # of a row, from which on two rows are not the same by chance
LEAST = 20  # rows with a label
EACH = 5  # rows of a class
MOST = 2_000  # rows that inputs are compared with labels on
SAME = 1 - 1e-9  # of a correlation


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a run. `names` node → field, where they differ; `told`: the settings say how many labels are granted."""

    dataset: Dataset
    table: Table
    nodes: Mapping[str, NodeInfo]
    split: Split
    names: Mapping[str, str]
    told: bool


def suspicious(rows: Rows) -> tuple[Finding, ...]:
    """W0640 to W0643, in the order of the codes."""
    dataset, table, nodes = rows.dataset, rows.table, rows.nodes
    inputs = {name: _numbers(table, name) for name in table.columns if nodes[name].role in ("observed", "given")}
    found = list(_files(dataset))
    found += _twice(dataset, inputs, rows.names)
    found += _labels_in_inputs(dataset.train, inputs, table, nodes)
    found += [] if rows.told else _all_or_none(rows.split)
    return tuple(found)


def _files(dataset: Dataset) -> Iterator[Finding]:
    """W0640: what the reader of the files said."""
    for d in dataset.warnings:
        yield Finding(d.code, d.message, "; ".join(d.notes), d.hint)


def _numbers(table: Table, node: str) -> Array:
    """A node's values as they are stored, [rows, cells]."""
    values = table.columns[node].values.cpu().numpy()
    return values.reshape(len(values), -1)


def _twice(dataset: Dataset, inputs: Mapping[str, Array], names: Mapping[str, str]) -> Iterator[Finding]:
    """W0641: held-out rows that are also training rows, by a hash of all observed and given values."""
    telling = sum(a.shape[1] for a in inputs.values()) >= CELLS or any(
        a.dtype.kind == "f" and bool((a[:MOST] != np.rint(a[:MOST])).any()) for a in inputs.values()
    )
    if not telling or not len(dataset.test):
        return
    hashes = [_hash(inputs, row) for row in range(dataset.rows)]
    seen = {hashes[row]: row for row in dataset.train.tolist()}
    twice = [row for row in dataset.test.tolist() if hashes[row] in seen]
    if twice:
        first = next(iter(inputs))
        field = field_of(dataset.fields, names.get(first, first))
        assert field is not None, "a node that has a column has a field"
        one = len(twice) == 1
        yield Finding(
            "W0641",
            f"{len(twice):,} of {len(dataset.test):,} held-out rows {'is' if one else 'are'} also among the training rows",
            f"{field.place(twice[0])} is {field.place(seen[hashes[twice[0]]])}",
            "take them out of one of the two parts: what was learned by heart counts as skill there",
        )


def _hash(inputs: Mapping[str, Array], row: int) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for values in inputs.values():
        digest.update(np.ascontiguousarray(values[row]).data)
    return digest.digest()


# --- labels inside of inputs ----------------------------------------------------------------------------------


def _labels_in_inputs(
    train: Index, inputs: Mapping[str, Array], table: Table, nodes: Mapping[str, NodeInfo]
) -> Iterator[Finding]:  # fmt: skip
    """W0642: a cell of an input from which a scalar label follows in every row; labels of single copies are not looked at."""
    scalar = (n for n, i in nodes.items() if i.role == "supervised" and not (i.event or i.loops))
    for label in (n for n in scalar if n in table.columns):
        column = table.columns[label]
        rows = train[column.known.cpu().numpy()[train]][:MOST]
        truth = column.values.cpu().numpy()[rows]
        if len(rows) < LEAST:
            continue
        for name, values in inputs.items():
            telling = _telling(values[rows], truth, bool(nodes[label].classes))
            cells = np.flatnonzero(telling)
            if len(cells):
                many = f" and {len(cells) - 1:,} more" if len(cells) > 1 else ""
                yield Finding(
                    "W0642",
                    f"`{label}` can be read off `{name}`: cell {cells[0]}{many} tells it in all {len(rows):,} rows looked at",
                    "",
                    f"take the cell out of {name}, or leave {label} unlabelled: the model will read it there",
                    label,
                )


def _telling(values: Array, truth: Array, finite: bool) -> Mask:
    """Which cells [cells] of `values` [rows, cells] tell a class: one value in all its rows and another one in all others,
    or a value of its own for each class; or a number: by a line through all rows."""
    if not finite:
        return _proportional(values.astype(np.float64), truth.astype(np.float64))
    classes = [c for c, n in zip(*np.unique(truth, return_counts=True), strict=True) if n >= EACH]
    if len(classes) < 2:
        return np.zeros(values.shape[1], bool)
    low = np.stack([values[truth == c].min(0) for c in classes])
    high = np.stack([values[truth == c].max(0) for c in classes])
    own = (low == high).all(0) & (np.diff(np.sort(low, axis=0), axis=0) > 0).all(0)
    for i, c in enumerate(classes):
        others = values[truth != c]
        one_hot = (low[i] == high[i]) & (others.min(0) == others.max(0)) & (low[i] != others[0])
        own |= one_hot
    return np.asarray(own)


def _proportional(values: Array, truth: Array) -> Mask:
    """Cells whose correlation with the label is 1 or −1."""
    x, y = values - values.mean(0), truth - truth.mean()
    scale = np.sqrt((x * x).sum(0) * (y * y).sum())
    return np.asarray(np.abs((x * y[:, None]).sum(0)) > SAME * np.where(scale > 0, scale, np.inf))


def _all_or_none(split: Split) -> Iterator[Finding]:
    """W0643: no row that is trained on has a label of a node, or every one."""
    trained = np.concatenate([split.labelled, split.unlabelled])
    for node, mask in split.granted.items():
        count = int(mask[trained].sum())
        if not count:
            hint = f"declare {node} latent, or check where the data says that it is known"
            yield Finding("W0643", f"none of {len(trained):,} training rows has a label of `{node}`", "", hint, node)
        elif count == len(trained):
            hint = f"hide some: labels = 0.1; or declare {node} observed"
            yield Finding("W0643", f"all {count:,} training rows have their label of `{node}`", "", hint, node)
