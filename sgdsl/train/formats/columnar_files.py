"""Which files of a folder are typed tables, and of which part: the folder comes in, its files go out."""

from __future__ import annotations

from pathlib import Path

# what files and folders are called; rows of a validation part serve neither as training nor as test rows
PARTS = {
    "train": "train",
    "test": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
}
SAVED = "state.json"  # beside the .arrow files of `save_to_disk`


def holds_tables(top: Path) -> bool:
    """Whether there are .parquet files, or what `save_to_disk` wrote."""
    return bool(_files(top))


def files_by_part(top: Path) -> dict[str, list[Path]]:
    """The files of "train", "test", "validation", and of "", where neither their names nor the folders above say one."""
    named: dict[str, list[Path]] = {part: [] for part in ("", *PARTS.values())}
    for file in _files(top):
        named[_part(file, top)].append(file)
    return named


def _files(top: Path) -> list[Path]:
    if not top.is_dir():
        return [top] if top.is_file() else []
    saved = [file for state in top.rglob(SAVED) for file in state.parent.glob("*.arrow")]
    return sorted(saved) or sorted(top.rglob("*.parquet"))


def _part(file: Path, top: Path) -> str:
    words = [file.stem, *(p.name for p in file.parents if p.is_relative_to(top) and p != top)]
    found = (
        part
        for word in words
        for name, part in PARTS.items()
        if word == name or word.startswith((f"{name}-", f"{name}_"))
    )
    return next(found, "")
