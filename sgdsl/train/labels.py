"""Which rows keep their label: known rows, classes and a seed come in, one mask a node for the whole run goes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.bind import Table
from sgdsl.train.dataset import Array, Index, Mask, shuffled
from sgdsl.train.errors import DataError, data_error

Amount = int | float | Mapping[str, int | float]
FOR_VALIDATION, LABELS, CHECKED = 1, 2, 3  # streams of the seed


@dataclass(frozen=True, slots=True)
class Wish:
    """`labels`: rows, a rate, or either by node; `per_class` replaces it; `seed` chooses the rows; `validation`: the share
    of training rows held out; `checked`: labelled rows that are only reported on."""

    labels: Amount = 1.0
    per_class: int | None = None
    seed: int = 0
    validation: float = 0.0
    checked: int = 0


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of the training part. `granted[node]` [all rows], or with copies [all rows, copies]: the label may be seen in
    training; `labelled`: rows with any granted label, `unlabelled`: the others that are trained on;
    `validation`: held out, labels hidden; `checked`: rows whose labels are used for the printed validation error alone."""

    granted: Mapping[str, Mask]
    labelled: Index
    unlabelled: Index
    validation: Index
    checked: Index


@dataclass(frozen=True, slots=True)
class Pool:
    """Training rows that may be granted the labels of `nodes`, and the classes to balance over (None: no finite node)."""

    nodes: tuple[str, ...]
    rows: Index
    classes: Array | None
    info: NodeInfo | None
    balanced: str


def split(table: Table, nodes: Mapping[str, NodeInfo], train: Index, wish: Wish) -> Split:
    """The rows of a run, from the data and the wish alone: the same rows however long the run and whatever the batch.
    Raises DataError: E0631 (more labels than rows), E0632 (a class without enough rows), E0635 (no rows left)."""
    supervised = [n for n, info in nodes.items() if info.role == "supervised" and n in table.columns]
    granted = {n: np.zeros(tuple(table.columns[n].known.shape), bool) for n in supervised}
    for names, amount in _amounts(supervised, wish, table.counted):
        counts = {k for n in names for k in table.counts.get(n, ()) if k not in names}
        there = [granted[k][train] for k in counts if k in granted]
        pool = _pool(names, table, nodes, train[np.all([np.ones(len(train), bool), *there], 0)])
        if (count := table.counted.get(names[0], "")) in granted:
            amount, pool = _where_counted(pool, amount, granted[count], count)
        for name in names:
            everything = isinstance(amount, float) and amount >= 1 and wish.per_class is None
            rows = train if everything else _chosen(pool, amount, wish)
            granted[name][rows] = table.columns[name].known.numpy()[rows]
    for name, limits in table.counts.items():
        for k in limits:  # a label of a copy needs the k that says that the copy is there
            if name in granted and k in granted:
                granted[name][~granted[k]] = False
    held = _held_out(granted, train, wish)
    for mask in granted.values():
        mask[held] = False
    any_known = np.any([in_rows(m) for m in granted.values()], axis=0) if granted else np.zeros(table.rows, bool)
    rest = np.setdiff1d(train, held)
    if not len(rest):
        raise data_error("E0635", f"`validation = {wish.validation:g}` leaves no row to train on")
    unlabelled = rest[~any_known[rest]]
    free = [n for n in supervised if n not in table.counted]
    checked = _checked(table, nodes, free or supervised, held if len(held) else unlabelled, wish)
    return Split(granted, rest[any_known[rest]], unlabelled, held, checked)


def asked(node: str, labels: Amount, counted: Mapping[str, str]) -> bool:
    """Whether labels of a supervised node are asked for: those of a counted one by its name only."""
    if isinstance(labels, Mapping):
        return labels.get(node, float(node not in counted)) > 0
    return labels > 0 and node not in counted


def _amounts(
    supervised: Sequence[str], wish: Wish, counted: Mapping[str, str]
) -> list[tuple[tuple[str, ...], int | float]]:  # fmt: skip
    """Groups of nodes that share their rows, and how many: all together, or each for itself, counted ones last and only
    those that are asked for."""
    free = tuple(name for name in supervised if name not in counted)
    if isinstance(wish.labels, Mapping) and wish.per_class is None:
        named = [name for name in supervised if name in counted and asked(name, wish.labels, counted)]
        return [((name,), wish.labels.get(name, 1.0)) for name in (*free, *named)]
    amount = wish.labels if not isinstance(wish.labels, Mapping) else 1.0
    return [(free, amount)] if free else []


def _where_counted(pool: Pool, amount: int | float, granted: Mask, count: str) -> tuple[int, Pool]:
    """The rows in which the count's label is granted; a rate stays one of all rows. Raises DataError: E0631."""
    wanted = amount if isinstance(amount, int) else max(round(amount * len(pool.rows)), int(amount > 0))
    there = in_rows(granted[pool.rows])
    rows = pool.rows[there]
    if wanted > len(rows):
        message = f"labels of {_names(pool)} in {wanted:,} rows are wanted, but `{count}`, which counts them, has {len(rows):,}"
        raise data_error("E0631", message, hint=f"ask for as many labels of `{count}`, or for fewer of {_names(pool)}")
    return wanted, Pool(
        pool.nodes, rows, None if pool.classes is None else pool.classes[there], pool.info, pool.balanced
    )


def _pool(names: tuple[str, ...], table: Table, nodes: Mapping[str, NodeInfo], train: Index) -> Pool:
    """The training rows in which every one of these labels is known, of a node in loops one of its copies; none where a
    k that is known says that there are none."""
    known: Mask = np.ones(len(train), bool)
    for name in names:
        known &= _known_rows(table, name)[train]
    rows = train[known]
    finite = [n for n in names if nodes[n].classes and not nodes[n].event and not nodes[n].loops]
    if not finite:
        return Pool(names, rows, None, None, "")
    return Pool(names, rows, table.columns[finite[0]].values.numpy()[rows], nodes[finite[0]], finite[0])


def _known_rows(table: Table, name: str) -> Mask:
    found = in_rows(table.columns[name].known.numpy())
    for k in table.counts.get(name, ()):
        if k in table.columns:
            found = found | (table.columns[k].known.numpy() & (table.columns[k].values.numpy() <= 0))
    return found


def in_rows(mask: Mask) -> Mask:
    """Where any copy is, [rows, copies, …] → [rows]."""
    found: Mask = mask.sum(tuple(range(1, mask.ndim))) > 0
    return found


def _chosen(pool: Pool, amount: int | float, wish: Wish) -> Index:
    """The granted rows of a pool. For one seed, the rows of a smaller wish are among those of a larger one."""
    order = pool.rows[shuffled(len(pool.rows), wish.seed, LABELS)]
    count = amount if isinstance(amount, int) else max(round(amount * len(order)), int(amount > 0))
    if wish.per_class is None and count > len(order):
        raise _too_many(pool, count)
    if pool.classes is None or pool.info is None:
        if wish.per_class is not None:
            raise data_error("E0632", f"`labels_per_class` needs a label with classes; {_names(pool)} has none")
        return np.sort(order[:count])
    classes = dict(zip(pool.rows.tolist(), pool.classes.tolist(), strict=True))
    groups: dict[int, list[int]] = {c: [] for c in range(pool.info.first, pool.info.first + pool.info.classes)}
    for row in order.tolist():
        groups[int(classes[row])].append(row)
    if wish.per_class is None and not count:
        return order[:0]
    least = wish.per_class or int(pool.info.support == "class")
    short = [c for c, members in groups.items() if len(members) < least]
    if short:
        raise _too_few(pool, short, groups, wish)
    if wish.per_class is not None:
        return np.sort(np.array([r for g in groups.values() for r in g[: wish.per_class]], np.int64))
    return np.sort(np.array(_dealt(list(groups.values()), count, wish.seed), np.int64))


def _dealt(groups: Sequence[Sequence[int]], count: int, seed: int) -> list[int]:
    """`count` rows, one of each class in turn, as long as the class has rows."""
    first = shuffled(len(groups), seed, LABELS).tolist()
    depth = max(len(g) for g in groups)
    turns = (groups[c][i] for i in range(depth) for c in first if i < len(groups[c]))
    return [row for row, _ in zip(turns, range(count), strict=False)]


def _held_out(granted: Mapping[str, Mask], train: Index, wish: Wish) -> Index:
    """The rows for early stopping: those without a granted label first."""
    count = round(wish.validation * len(train))
    if not count:
        return train[:0]
    order = train[shuffled(len(train), wish.seed, FOR_VALIDATION)]
    labelled = np.any([in_rows(m[order]) for m in granted.values()], axis=0) if granted else np.zeros(len(order), bool)
    return np.sort(np.concatenate([order[~labelled], order[labelled]])[:count])


def _checked(
    table: Table, nodes: Mapping[str, NodeInfo], supervised: Sequence[str], rows: Index, wish: Wish
) -> Index:  # fmt: skip
    """The rows of `validation_labels`, balanced like the others."""
    if not wish.checked or not supervised:
        return rows[:0]
    pool = _pool(tuple(supervised), table, nodes, rows)
    if wish.checked > len(pool.rows):
        raise data_error(
            "E0631", f"`validation_labels = {wish.checked:,}`, but {len(pool.rows):,} rows are left for it"
        )
    order = pool.rows[shuffled(len(pool.rows), wish.seed, CHECKED)]
    return np.sort(order[: wish.checked])


# --- words ----------------------------------------------------------------------------------------------------


def _names(pool: Pool) -> str:
    return " and ".join(f"`{n}`" for n in pool.nodes)


def _too_many(pool: Pool, count: int) -> DataError:
    message = (
        f"labels in {count:,} rows are wanted, but {_names(pool)} {'is' if len(pool.nodes) == 1 else 'are'} known in"
    )
    hint = "write each(…) where nodes have labels in different rows" if len(pool.nodes) > 1 else ""
    return data_error("E0631", f"{message} {len(pool.rows):,} training rows", hint=hint)


def _too_few(pool: Pool, short: Sequence[int], groups: Mapping[int, Sequence[int]], wish: Wish) -> DataError:
    named = ", ".join(map(str, short[:5])) + (", …" if len(short) > 5 else "")
    least = len(groups[short[0]])
    if wish.per_class is not None and least:
        message = f"`labels_per_class = {wish.per_class}`, but class {short[0]} of `{pool.balanced}` has {least:,} training rows"
        return data_error("E0632", message, hint=f"the smallest class sets the limit: {min(map(len, groups.values()))}")
    plural = "classes" if len(short) > 1 else "class"
    message = f"`{pool.balanced}`: {plural} {named} {'have' if len(short) > 1 else 'has'} no training row to take a label from"
    return data_error("E0632", message, hint="labels are balanced over the classes: declare as many as the data has")
