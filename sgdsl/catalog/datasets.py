"""The table of data sets: names, their own options and fields."""

from __future__ import annotations

from dataclasses import dataclass

from sgdsl.catalog.settings import DATA, SettingRow


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """`fields` empty: they are known once the files are read. `needs`: options that must be written; `install`: the
    command for what its reader needs beyond sgdsl's own packages."""

    name: str
    help: str
    target: str
    fields: tuple[str, ...] = ()
    options: tuple[SettingRow, ...] = ()
    needs: tuple[str, ...] = ()
    install: str = ""

    def option(self, name: str) -> SettingRow | None:
        """An own option, or one that all data sets have."""
        return next((o for o in (*self.options, *DATA) if o.name == name), None)


_ROOT = SettingRow("root", "path", "", "the folder of the files")
_FILE = SettingRow("file", "path", "", "the file")
_CSV = (
    _FILE,
    SettingRow("test", "path", "", "a second file, of the held-out rows"),
    SettingRow(
        "missing",
        "text",
        "NA, N/A, n/a, #N/A, NaN, nan, null, NULL, ?",
        "words that say unknown, besides an empty cell",
    ),
)
_FACES = (
    SettingRow("root", "path", "data/CroppedYale", "the tree of the faces"),
    SettingRow("shrink", "int", 2, "a pixel is the mean of shrink × shrink ones", low=1, high=8),
    SettingRow("within", "float", 180.0, "degrees that a light may be off the camera's axis", low=0, high=180),
)
_ROWS = (
    DatasetRow("mnist", "MNIST, the first 10,000; with root, the idx files of a folder",
               "sgdsl.train.data:mnist", ("x", "y"), (_ROOT,)),
    DatasetRow("idx", "a folder of idx or idx.gz files, named as MNIST's",
               "sgdsl.train.data:idx", ("x", "y"), (_ROOT,), ("root",)),
    DatasetRow("npz", "the arrays of a .npz file", "sgdsl.train.data:npz", (), (_FILE,), ("file",)),
    DatasetRow("npy", "a folder of .npy files, each a field", "sgdsl.train.data:npy", (), (_ROOT,), ("root",)),
    DatasetRow("csv", "a table of text, a column a field", "sgdsl.train.formats.spreadsheet:table", (), _CSV, ("file",)),
    DatasetRow("parquet", "a table of typed columns, or a folder that Hugging Face `datasets` saved",
               "sgdsl.train.formats.columnar:parquet", (), (_ROOT,), ("root",), "pip install pyarrow"),
    DatasetRow("images", "a folder of pictures, a subfolder a class",
               "sgdsl.train.formats.folder:images", ("x", "y"), (_ROOT,), ("root",)),
    DatasetRow("svhn", "house numbers, cropped digits: train_32x32.mat and test_32x32.mat",
               "sgdsl.train.formats.svhn:svhn", ("x", "y"),
               (SettingRow("root", "path", "data/svhn", "the folder of the files"),)),
    DatasetRow("yaleb", "faces under many lights: the tree CroppedYale",
               "sgdsl.train.formats.yaleb:yaleb", ("x", "who", "light"), _FACES),
    DatasetRow("multi_mnist", "one to three digits on a canvas, made of the embedded ones",
               "sgdsl.train.multi_mnist:multi_mnist", ("x", "k", "y", "at"), (_ROOT,)),
)  # fmt: skip

DATASETS: dict[str, DatasetRow] = {row.name: row for row in _ROWS}
