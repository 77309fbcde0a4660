"""Which pictures a run has: a trained run and its rows come in; sheets of samples and analogies and the curves go out."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from sgdsl.runtime import ask
from sgdsl.runtime.draws import Draws
from sgdsl.train import run_folder
from sgdsl.train.curves import draw_curves
from sgdsl.train.dataset import Array
from sgdsl.train.errors import run_error
from sgdsl.train.feed import read
from sgdsl.train.measure import SEED, hidden
from sgdsl.train.prepare import Prepared
from sgdsl.train.run import Run
from sgdsl.train.sheets import Sheet, as_pictures, draw_sheet, is_map

COLUMNS = 12
MOST_CLASSES = 24
PLAIN = 8  # rows and columns of samples without classes


def draw_pictures(run: Run, ready: Prepared) -> tuple[Path, ...]:
    """samples.png and analogies.png for each observed node that is a map (with its name where there are several), and
    curves.png."""
    maps = [n for n, info in run.module.NODES.items() if info.role == "observed" and is_map(info)]
    paths = []
    for node in maps:
        ending = f"-{node}" if len(maps) > 1 else ""
        sheet = samples_sheet(run, ready, node)
        paths.append(draw_sheet(sheet, run.folder / "samples" / f"samples{ending}.png"))
        label = class_node(run)
        if label is not None and len(ready.dataset.test):
            sheet = analogies_sheet(run, ready, node, label)
            paths.append(draw_sheet(sheet, run.folder / "samples" / f"analogies{ending}.png"))
    records = run_folder.read_records(run_folder.Folder(run.folder))
    if records:
        paths.append(draw_curves(records, f"{run.name}: training", caption(run), run.folder / "curves.png"))
    return tuple(paths)


def picture(run: Run, path: Path, n: int = 16, given: dict[str, object] | None = None) -> Path:
    """`n` samples of the first observed map, held at `given`, as one sheet. Raises RunError: E0665, E0666."""
    shown = next((name for name, info in run.module.NODES.items() if info.role == "observed" and is_map(info)), None)
    if shown is None:
        raise run_error("E0666", f"`{run.name}` observes no picture", hint="write arrays instead: -o FILE.npz")
    drawn = as_pictures(run.module.NODES[shown], run.sample(n, given, mean=True)[shown])
    across = min(n, COLUMNS if n > PLAIN else n)
    lines = [list(drawn[i : i + across]) for i in range(0, n, across)]
    words = ", ".join(f"{name} = {value}" for name, value in (given or {}).items())
    return draw_sheet(Sheet(f"{run.name}: samples{f' with {words}' if words else ''}", caption(run), lines), path)


def class_node(run: Run) -> str | None:
    """The node whose classes are shown: a supervised one if there is, else a latent one."""
    nodes = run.module.NODES
    usable = [
        n
        for n, info in nodes.items()
        if 2 <= info.classes <= MOST_CLASSES and not (info.event or info.loops) and info.family_p
    ]
    return next((n for role in ("supervised", "latent") for n in usable if nodes[n].role == role), None)


def samples_sheet(run: Run, ready: Prepared, node: str) -> Sheet:
    """Means of `node` for draws of everything else; a row a class where there is a class."""
    label = class_node(run)
    title = f"{run.name}: samples" + (f" of each {label}" if label else "")
    draws = Draws(torch.Generator(run.device).manual_seed(SEED))
    if label is None:
        images = _means(run, ready, PLAIN * PLAIN, {}, node, draws)
        images = images.reshape(PLAIN, PLAIN, *images.shape[1:])
        return Sheet(title, caption(run), [list(line) for line in images])
    info = run.module.NODES[label]
    values = torch.arange(info.first, info.first + info.classes, device=run.device)
    held = {label: _as_stored(values.repeat_interleave(COLUMNS), info.integer)}
    images = _means(run, ready, info.classes * COLUMNS, held, node, draws)
    lines = images.reshape(info.classes, COLUMNS, *images.shape[1:])
    return Sheet(title, caption(run), [list(line) for line in lines], run.value_names(label), lines_name=label)


def _means(run: Run, ready: Prepared, n: int, held: dict[str, Tensor], node: str, draws: Draws) -> Array:
    """The mean of a node for each of `n` draws; given nodes take the values of held-out rows, or of training rows."""
    rows = ready.dataset.test if len(ready.dataset.test) else ready.dataset.train
    index = torch.from_numpy(rows)[torch.arange(n) % len(rows)].to(run.device)
    conditions = {
        name: read(column, index, None).to(torch.int64 if run.module.NODES[name].integer else torch.get_default_dtype())
        for name, column in ready.table.columns.items()
        if run.module.NODES[name].role == "given"
    }
    torch.manual_seed(SEED)
    given = {name: value.cpu().numpy() for name, value in {**conditions, **held}.items()}
    return as_pictures(run.module.NODES[node], run.sample(n, given, mean=True)[node])


def analogies_sheet(run: Run, ready: Prepared, node: str, label: str) -> Sheet:
    """Every class in the manner of given held-out rows: the first column is the given one, the others change the class alone
    and keep what was inferred."""
    index = _examples(run, ready, label)
    with torch.no_grad():
        values = hidden(run.module, ready.table, index, None)
        draws = Draws(torch.Generator(run.device).manual_seed(SEED))
        changed = ask.analogy(run.module, values, label, draws, node).transpose(0, 1).cpu().numpy()
    seen = run.module.NODES[node]
    columns = [as_pictures(seen, one) for one in (values[node][0].nan_to_num().cpu().numpy(), *changed)]
    lines = [list(line) for line in zip(*columns, strict=True)]
    return Sheet(
        f"{run.name}: each {label} in the style of a given row",
        caption(run),
        lines,
        heads=["given", *run.value_names(label)],
        lines_name="held-out rows",
        split=True,
    )


def _examples(run: Run, ready: Prepared, label: str) -> Tensor:
    """One held-out row of each class, as far as classes are known; else the first rows."""
    rows, info = ready.dataset.test, run.module.NODES[label]
    column = ready.table.columns.get(label)
    chosen: list[int] = []
    if column is not None:
        values, known = column.values.cpu().numpy()[rows], column.known.cpu().numpy()[rows]
        for value in range(info.first, info.first + info.classes):
            chosen += rows[(values == value) & known][:1].tolist()
    return torch.tensor(chosen or rows[:10].tolist(), device=run.device)


def _as_stored(values: Tensor, integer: bool) -> Tensor:
    return values if integer else values.to(torch.get_default_dtype())


def caption(run: Run) -> str:
    """Where the rows came from and how many labels there were: stands below every picture."""
    rows = run.config["rows"]
    labels = ", ".join(f"{count:,} labels of {node}" for node, count in rows["labels"].items())
    trained = rows["labelled"] + rows["unlabelled"]
    return f"{run.config['source']}; {trained:,} training rows" + (f", {labels}" if labels else "")
