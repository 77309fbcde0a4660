"""Edits as files: edits of the same rows come in; their arrays, and a sheet of pictures where there is one, go out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sgdsl.train.dataset import Array
from sgdsl.train.edit import Edited
from sgdsl.train.pictures import caption
from sgdsl.train.run import Run
from sgdsl.train.sheets import Sheet, as_pictures, draw_sheet, is_map


def write_edits(run: Run, columns: Sequence[Edited], heads: Sequence[str], path: Path, most: int) -> list[Path]:
    """FILE.npz with every node [rows, columns, *event] and, as `before.x`, what was seen of the rows; and FILE.png with the
    first `most` rows of each observed picture, the first column as given. Raises OSError."""
    arrays = {n: np.stack([c.after[n] for c in columns], 1) for n in columns[0].after}
    file = path.with_suffix(".npz")
    write_arrays(file, {**arrays, **{f"before.{n}": v for n, v in columns[0].before.items()}})
    maps = [n for n in columns[0].before if run.module.NODES[n].role == "observed" and is_map(run.module.NODES[n])]
    written = []
    for node in maps:
        ending = f"-{node}" if len(maps) > 1 else ""
        info, few = run.module.NODES[node], range(min(most, len(arrays[node])))
        images = [
            [as_pictures(info, columns[0].before[node][i : i + 1])[0], *as_pictures(info, arrays[node][i])] for i in few
        ]
        lines = [f"{part} {row}".strip() for part, row in columns[0].places[: len(images)]]
        title = f"{run.name}: {node} edited"
        shown = heads if any(heads) and max(map(len, heads)) <= 6 else [""] * len(heads)
        if shown is not heads and len(set(heads)) == 1:
            title += f", {heads[0]}" if heads[0] else ", redrawn"
        sheet = Sheet(title, caption(run), images, lines, ["given", *shown], "rows", split=True)
        written.append(draw_sheet(sheet, path.with_name(f"{path.stem}{ending}.png")))
    return [*written, file]


def write_arrays(path: Path, arrays: dict[str, Array]) -> None:
    """Arrays by name into a .npz file."""
    named: dict[str, object] = dict(arrays)
    np.savez(path, **named)  # type: ignore[arg-type]
