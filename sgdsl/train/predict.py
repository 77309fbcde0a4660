"""What a trained model says about rows of a file: a run and data come in; beliefs by q and by p of each wanted node go out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsl.runtime import ask
from sgdsl.runtime.ask import Belief
from sgdsl.runtime.batch import NodeInfo
from sgdsl.runtime.corrected import corrected, effective_size
from sgdsl.runtime.levels import Copies
from sgdsl.train.bind import Table
from sgdsl.train.copies import loops_of
from sgdsl.train.dataset import Array, Dataset
from sgdsl.train.errors import run_error
from sgdsl.train.feed import read
from sgdsl.train.idx_alone import idx_alone
from sgdsl.train.measure import portions
from sgdsl.train.measures import Kind, total
from sgdsl.train.run import Run
from sgdsl.train.scored import kind_of, losses

Beliefs = Array | tuple[Array, Array]


@dataclass(frozen=True, slots=True)
class Answer:
    """About one node. `q`, `p`: probabilities [rows, *event, values] of a finite node; (mean, standard deviation),
    [rows, *event] each, of another; `p` by importance weights, None where it was not asked for. `ess` [rows]: how many of
    `draws` draws count there. `label` [rows, *event], `known` [rows]: what the data say, None where they have no such field.
    `names`: of the values of a finite node. Of a node in `loops` all but `ess` have dimensions of copies behind the rows."""

    info: NodeInfo
    q: Beliefs
    p: Beliefs | None
    ess: Array | None
    draws: int
    label: Array | None
    known: Array | None
    loops: tuple[Copies, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """What its score is (scored.kind_of)."""
        return kind_of(self.info)

    def likeliest(self, belief: Beliefs) -> Array:
        """[rows, copies, …, *event]: the value of the greatest probability, or the mean."""
        return belief[0] if isinstance(belief, tuple) else np.asarray(belief.argmax(-1) + self.info.first)

    def score(self, belief: Beliefs) -> float | None:
        """The measure of its kind, over rows whose label is known."""
        if self.label is None or self.known is None or not self.known.any():
            return None
        pair = (torch.as_tensor(v[self.known]) for v in (self.likeliest(belief), self.label))
        return total(self.kind, float(losses(self.info, *pair).mean()))


@dataclass(frozen=True, slots=True)
class Prediction:
    """`answers` by node; `given`: nodes whose labels were seen; `source`: the data; `places`: (part, row) of each row, part
    train or test
    where the data have two parts, else empty; row its number among the rows asked about, from 0."""

    source: str
    given: tuple[str, ...]
    answers: Mapping[str, Answer]
    places: Sequence[tuple[str, int]]


@torch.no_grad()
def predict(
    run: Run,
    data: object = None,
    *,
    given: Sequence[str] = (),
    nodes: Sequence[str] = (),
    samples: int = 32,
    correct: bool = True,
) -> Prediction:
    """`data` as in `fit`, all its rows; None: the run's own held-out rows. `given`: supervised nodes whose labels may be seen,
    where they are known. `nodes`: about which, else every supervised node that is not in `given`. `samples`: draws a row, for
    `p` draws a row and value. Raises RunError: E0665; DataError."""
    wanted = wanted_nodes(run, given, nodes)
    dataset, table, index = rows_of(run, data, given)
    generator = run.draws()
    parts: dict[str, list[tuple[Belief, Belief | None, Tensor | None, int]]] = {name: [] for name in wanted}
    for few in portions(index, samples):
        values, known = run.batch(table, few, given)
        beliefs = ask.posterior(run.module, values, known, generator, samples)
        for name in wanted:
            if correct:
                better = corrected(run.module, values, known, name, generator, samples)
                size, count = effective_size(better.log_weights), len(better.log_weights)
                parts[name].append((beliefs[name], better.belief, size, count))
            else:
                parts[name].append((beliefs[name], None, None, samples))
    answers = {name: _answer(run, found, table, name, index) for name, found in parts.items()}
    return Prediction(dataset.source, tuple(given), answers, places(dataset, index))


def wanted_nodes(run: Run, given: Sequence[str], nodes: Sequence[str]) -> tuple[str, ...]:
    """Checked names. Raises RunError: E0665."""
    run.check_names((*given, *nodes))
    infos = run.module.NODES
    supervised = [n for n, info in infos.items() if info.role == "supervised"]
    for name in given:
        if name not in supervised:
            why = (
                "what is observed or given is always seen" if infos[name].role != "latent" else "a latent has no label"
            )
            hint = f"supervised nodes: {', '.join(supervised)}" if supervised else "leave --given out"
            raise run_error("E0665", f"`{name}` is {infos[name].role}, and has no labels to give: {why}", hint=hint)
    for name in nodes:
        if name not in run.module.ORDER_Q or name in given:
            why = "was given" if name in given else f"is {infos[name].role}: q does not infer it"
            left = ", ".join(n for n in run.module.ORDER_Q if n not in given)
            raise run_error("E0665", f"`{name}` {why}", hint=f"nodes to ask about: {left}" if left else "")
    found = tuple(nodes) or tuple(n for n in supervised if n not in given)
    if not found:
        what = "every supervised node is given" if supervised else f"`{run.name}` has no supervised node"
        left = ", ".join(n for n in run.module.ORDER_Q if n not in given)
        raise run_error("E0665", f"{what}: nothing is left to predict", hint=f"name a node: --node {left or '…'}")
    return found


def rows_of(run: Run, data: object, given: Sequence[str]) -> tuple[Dataset, Table, Tensor]:
    """The rows that a question is about: all rows of `data`, or the run's held-out rows. Raises DataError; RunError E0665
    where a given node has no field, or there are no rows."""
    if isinstance(data, str | Path):
        data = idx_alone(Path(data)) or data
    asked = run if data is None else replace(run, data=data, test=None, prepared=None)
    dataset, table = asked.rows()
    rows = dataset.test if data is None and run.data is None else np.arange(dataset.rows)
    lacking = [n for n in given if n not in table.columns]
    if lacking:
        fields = ", ".join(dataset.fields)
        raise run_error("E0665", f"`{lacking[0]}` is given, but the data have no such field: {fields}")
    if not len(rows):
        raise run_error("E0665", "the run held no rows out", hint="name the data: a .npz file or a folder of idx files")
    return dataset, table, torch.as_tensor(rows, device=run.device)


def places(dataset: Dataset, index: Tensor, numbers: Sequence[int] | None = None) -> list[tuple[str, int]]:
    """(part, number) of rows of a data set; `numbers`: among the rows asked about, else 0, 1, …; `part` empty where there is
    one."""
    starts = [start for start, _ in next(iter(dataset.fields.values())).parts]
    counted = range(len(index)) if numbers is None else numbers
    names = (
        [""] * len(index) if len(starts) < 2 else ["test" if row >= starts[1] else "train" for row in index.tolist()]
    )
    return list(zip(names, map(int, counted), strict=True))


def _answer(run: Run, parts: list[Any], table: Table, name: str, index: Tensor) -> Answer:
    column = table.columns.get(name)
    label = known = None
    if column is not None:
        label, known = read(column, index, None).cpu().numpy(), column.known[index].cpu().numpy()
    q, p, ess = (None if parts[0][i] is None else _joined([part[i] for part in parts]) for i in range(3))
    assert q is not None
    assert not isinstance(ess, tuple)
    info = run.module.NODES[name]
    loops = loops_of(info, run.module.RANGES)
    return Answer(info, q, p, ess, parts[0][3], label, known, loops, run.value_names(name))


def _joined(parts: list[Any]) -> Beliefs:
    if isinstance(parts[0], tuple):
        mean, deviation = ([part[i] for part in parts] for i in (0, 1))
        return torch.cat(mean).cpu().numpy(), torch.cat(deviation).cpu().numpy()
    return np.asarray(torch.cat(parts).cpu().numpy())
