"""Arrays of NumPy, each in a file of its own: a folder or one file comes in, arrays by name go out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sgdsl.train.dataset import Array
from sgdsl.train.errors import data_error


def read_folder(folder: Path) -> dict[str, Array]:
    """`x.npy` is x. Raises DataError: E0620, E0622."""
    files = sorted(p for p in folder.glob("*.npy") if not p.name.startswith("."))
    if not files:
        raise data_error(
            "E0622", f"there is no .npy file in `{folder}`", hint='np.save("x.npy", images); np.save("y.npy", labels)'
        )
    return {path.stem: read_npy(path) for path in files}


def read_npy(path: Path) -> Array:
    """Never what is pickled. Raises DataError: E0620."""
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        hint = "pickled objects are never read: they can run code" if "pickle" in reason else "get the file again"
        raise data_error("E0620", f"cannot read `{path}`: {reason}", hint=hint) from None
    if not isinstance(found, np.ndarray):
        found.close()
        raise data_error("E0620", f"`{path}` is no .npy file: it holds several arrays", hint="call it .npz")
    return found
