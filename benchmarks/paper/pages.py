"""The page of the experiments: kept cells and run folders come in; tables in docs/experiments.md and pictures go out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks import counts
from benchmarks.paper.cells import EXPERIMENTS, Experiment, Kept
from benchmarks.paper.tables import WORDS, markdown, scores, values
from sgdsl.library import edit, load
from sgdsl.train.run import Run
from sgdsl.train.sheets import Sheet, as_pictures, draw_sheet

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "experiments.md"
PART = "<!-- measured: {} -->\n"
END = "<!-- end -->"
CAPTIONS = {
    "mnist": "Held-out digits, then with each digit set",
    "svhn": "Held-out house numbers, then with each digit set",
    "faces": "Held-out faces, then under other lamps",
    "counts": "Canvases, what the model makes of them, and each thing on them",
}
SHOWN = 6  # rows of a sheet
LAMPS = ((0, 0), (-60, 0), (-25, 20), (25, 20), (60, 0), (0, 60))  # azimuth and elevation


def write(results: Path, folder: Path) -> None:
    """Tables from the kept cells, curves, and pictures from the runs of seed 0 that are in the folder."""
    text = PAGE.read_text()
    for name, experiment in EXPERIMENTS.items():
        path = results / f"{name}.json"
        if path.exists():
            kept = Kept.read(path)
            _curves(experiment, kept, DOCS / "pictures" / f"paper-{name}.png")
            _pictures(experiment, kept, folder)
            text = _replaced(text, name, "\n\n".join([markdown(name, kept), *_shown(name)]))
    PAGE.write_text(text)


def _shown(name: str) -> list[str]:
    """The pictures that are there."""
    files = {f"paper-{name}.png": "Errors over labels", f"paper-{name}-rows.png": CAPTIONS[name]}
    return [f"![{words}](pictures/{file})" for file, words in files.items() if (DOCS / "pictures" / file).exists()]


def _replaced(text: str, name: str, table: str) -> str:
    part = re.compile(re.escape(PART.format(name)) + ".*?" + re.escape(END), re.S)
    assert part.search(text), f"{PAGE} has no part for {name}"
    return part.sub(lambda _: f"{PART.format(name)}{table}\n{END}", text)


# --- curves ---------------------------------------------------------------------------------------------------


def _curves(experiment: Experiment, kept: Kept, path: Path) -> None:
    """Each score over the labels, a line a method, bars of a standard deviation where there are several seeds."""
    shown = scores(kept.found)
    figure = Figure(figsize=(4.6 * len(shown), 3.2), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, score in zip(np.atleast_1d(figure.subplots(1, len(shown))), shown, strict=True):
        for i, method in enumerate(experiment.methods):
            there = [(n, v) for n, v in ((n, values(kept.found, score, n, method)) for n in experiment.labels) if v]
            axes.errorbar(
                [list(experiment.labels).index(n) for n, _ in there],
                [np.mean(v) for _, v in there],
                [np.std(v, ddof=1) if len(v) > 1 else 0.0 for _, v in there],
                marker="osD^"[i % 4], label=method, capsize=3, lw=2 if method == "model" else 1.2,
            )  # fmt: skip
        axes.set_xticks(range(len(experiment.labels)), list(experiment.labels))
        axes.set_xlabel("labels")
        axes.set_ylabel(WORDS[score])
        axes.set_ylim(0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)


# --- what the models make of held-out rows --------------------------------------------------------------------


def _pictures(experiment: Experiment, kept: Kept, folder: Path) -> None:
    """Of the run with most labels among those that are in the folder."""
    path = DOCS / "pictures" / f"paper-{experiment.name}-rows.png"
    order = list(experiment.labels)
    there = [c for c in kept.found if (c.method, c.seed) == ("model", 0) and (folder / "runs" / c.folder).exists()]
    if not there:
        return
    most = max(there, key=lambda c: order.index(c.labels))
    run = folder / "runs" / most.folder
    caption = f"{most.source}; {most.labels} labels; {kept.found[most]['steps']:,} steps"
    match experiment.name:
        case "counts":
            counts.draw(load(run).module, path)
        case "faces":
            _lamps(load(run), caption, path)
        case _:
            _digits(load(run), caption, path)


def _digits(run: Run, caption: str, path: Path) -> None:
    """Rows as given, then with each digit set and everything else kept."""
    rows = _spread(run)
    found = [edit(run, None, rows, set={"y": d}) for d in range(10)]
    images = [[found[0].before["x"][i], *(f.after["x"][i] for f in found)] for i in range(len(rows))]
    _sheet(run, caption, images, ["given", *map(str, range(10))], path)


def _lamps(run: Run, caption: str, path: Path) -> None:
    """Faces as given, as they are decoded, then under other lamps."""
    rows = _spread(run)
    light = [_unit(*np.deg2rad(lamp)) for lamp in LAMPS]
    found = [edit(run, None, rows, set={"light": one}) for one in light]
    images = [[found[0].before["x"][i], *(f.after["x"][i] for f in found)] for i in range(len(rows))]
    _sheet(run, caption, images, ["given", *(f"{a}, {e}°" for a, e in LAMPS)], path)


def _unit(azimuth: float, elevation: float) -> list[float]:
    """Towards the lamp, as the reader of faces has it."""
    return [
        float(-np.sin(azimuth) * np.cos(elevation)), float(np.sin(elevation)), float(np.cos(azimuth) * np.cos(elevation)),
    ]  # fmt: skip


def _spread(run: Run) -> list[int]:
    """Held-out rows far from each other."""
    return [int(i) for i in np.linspace(0, len(run.rows()[0].test) - 1, SHOWN + 2)[1:-1]]


def _sheet(run: Run, caption: str, images: Sequence[Sequence[np.ndarray]], heads: Sequence[str], path: Path) -> None:
    seen = run.module.NODES["x"]
    drawn = [[np.clip(as_pictures(seen, image[None])[0], 0, 1) for image in line] for line in images]
    draw_sheet(Sheet(f"{run.name}: held-out rows, one node set", caption, drawn, (), heads, split=True), path)
