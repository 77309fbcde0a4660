"""What made the files of a folder: the folder comes in, the name that reports give it goes out."""

from __future__ import annotations

from pathlib import Path

SOURCE = "SOURCE.txt"


def named_source(folder: Path, otherwise: str) -> str:
    """The first line of the folder's SOURCE.txt, where something made its files and says so."""
    try:
        lines = (folder / SOURCE).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return otherwise
    return lines[0].strip() if lines and lines[0].strip() else otherwise
