"""The table of data sets: names, their own options and fields; those without a `target` are planned."""

from __future__ import annotations

from dataclasses import dataclass

from sgdsl.catalog.settings import DATA, SettingRow


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """`fields` empty: they are known once the files are read. `needs`: options that must be written."""

    name: str
    help: str
    target: str | None
    fields: tuple[str, ...] = ()
    options: tuple[SettingRow, ...] = ()
    needs: tuple[str, ...] = ()

    def option(self, name: str) -> SettingRow | None:
        """An own option, or one that all data sets have."""
        return next((o for o in (*self.options, *DATA) if o.name == name), None)


_ROOT = SettingRow("root", "text", "", "the folder of the files")
_FILE = SettingRow("file", "text", "", "the file")
_ROWS = (
    DatasetRow("mnist", "MNIST, the first 10,000; with root, the idx files of a folder",
               "sgdsl.train.data:mnist", ("x", "y"), (_ROOT,)),
    DatasetRow("idx", "a folder of idx or idx.gz files, named as MNIST's",
               "sgdsl.train.data:idx", ("x", "y"), (_ROOT,), ("root",)),
    DatasetRow("npz", "the arrays of a .npz file", "sgdsl.train.data:npz", (), (_FILE,), ("file",)),
    DatasetRow("svhn", "house numbers (planned)", None, ("x", "y"), (_ROOT,)),
    DatasetRow("yaleb", "faces under many lights (planned)", None, ("x", "who", "light"), (_ROOT,)),
    DatasetRow("multi_mnist", "one to three digits on a canvas, made of the embedded ones; with root, of a folder made by "
               "`sgdsl data make`", "sgdsl.train.multi_mnist:multi_mnist", ("x", "k", "y", "at"), (_ROOT,)),
)  # fmt: skip

DATASETS: dict[str, DatasetRow] = {row.name: row for row in _ROWS}
