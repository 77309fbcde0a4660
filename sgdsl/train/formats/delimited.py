"""Text as spreadsheets export it: a file comes in, its cells with the lines they stand on go out (RFC 4180, and its dialects)."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sgdsl.train.errors import DataError, data_error

DELIMITERS = (";", "\t", ",", "|")
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
LARGEST = 1 << 20  # characters of a cell


@dataclass(frozen=True, slots=True)
class Cells:
    """`names` of the columns; `rows` of as many cells, stripped; `lines`: where in the file each row begins, from 1."""

    path: Path
    delimiter: str
    names: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]

    def place(self, row: int, column: int) -> str:
        return f"{self.path.name}, line {self.lines[row]}, column `{self.names[column]}`"


def read_cells(path: Path) -> Cells:
    """UTF-8 or UTF-16; the delimiter is the one that the first line has most of, or what `sep=` says there. Empty lines are
    left out. Raises DataError: E0620 (cannot be read), E0639 (no table)."""
    text = _text(path)
    first, _, rest = text.partition("\n")
    skipped = 0
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:  # Excel's own line
        delimiter, text, skipped = first.strip()[4], rest, 1
    else:
        delimiter = _delimiter(text)
    records, lines = _records(path, text, delimiter, skipped)
    if not records:
        raise data_error("E0639", f"`{path}` is empty", hint="the first line holds the names of the columns")
    names = _names(path, records[0], lines[0])
    for record, line in zip(records[1:], lines[1:], strict=True):
        if len(record) != len(names):
            raise _ragged(path, line, record, names, delimiter)
    return Cells(path, delimiter, names, records[1:], lines[1:])


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise data_error("E0620", f"cannot read `{path}`: {error.strerror or error}") from None
    if raw[:4] == b"PK\x03\x04" or raw[:4] == b"\xd0\xcf\x11\xe0":
        raise data_error("E0639", f"`{path}` is a workbook, not text", hint="in the spreadsheet: save as CSV UTF-8")
    encoding = next((name for mark, name in MARKS if raw.startswith(mark)), "utf-8")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        message = f"{path.name}, line {line}: byte {raw[error.start]:02x} is no UTF-8"
        raise data_error(
            "E0639", message, hint="in the spreadsheet: save as CSV UTF-8; or `iconv -f cp1252 -t utf-8`"
        ) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise data_error("E0639", f"{path.name}, line {line}: a zero byte", hint="this is no text: save as CSV UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _delimiter(text: str) -> str:
    """The character that the first line has most of, outside of quotes."""
    line = next((line for line in text.split("\n") if line.strip()), "")
    outside = "".join(part for i, part in enumerate(line.split('"')) if i % 2 == 0)
    return max(DELIMITERS, key=lambda d: (outside.count(d), d == ","))


def _records(path: Path, text: str, delimiter: str, skipped: int) -> tuple[list[list[str]], list[int]]:
    csv.field_size_limit(LARGEST)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    records, lines, before = list[list[str]](), list[int](), 0
    try:
        for record in reader:
            cells = [cell.strip() for cell in record]
            if any(cells):
                records.append(cells)
                lines.append(before + 1 + skipped)
            before = reader.line_num
    except csv.Error as error:
        reason = "a quote is never closed" if "unexpected end" in str(error) else str(error)
        message = f"{path.name}, line {before + 1 + skipped}: {reason}"
        raise data_error("E0639", message, hint='a quote inside of quotes is written twice: "5"" pipe"') from None
    return records, lines


def _names(path: Path, header: Sequence[str], line: int) -> tuple[str, ...]:
    """The header's cells; a column without a name is called by its number, and told apart by it."""
    if all(_is_number(cell) for cell in header):
        message = f"{path.name}, line {line}: numbers only, where the names of the columns should stand"
        raise data_error("E0639", message, hint="write a first line such as x_0,x_1,y")
    twice = next((name for i, name in enumerate(header) if name and name in header[:i]), None)
    if twice is not None:
        raise data_error(
            "E0639", f"{path.name}, line {line}: two columns are called `{twice}`", hint="rename one of them"
        )
    return tuple(header)


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def _ragged(path: Path, line: int, record: Sequence[str], names: Sequence[str], delimiter: str) -> DataError:
    shown = {"\t": "tab"}.get(delimiter, delimiter)
    count = f"{len(record)} cell{'s' if len(record) != 1 else ''}"
    message = f"{path.name}, line {line} has {count}, the first line has {len(names)} names"
    extra = delimiter == "," and len(record) > len(names)
    hint = "decimal commas? export with semicolons between the cells, or with decimal points" if extra else (
        "the file ends inside this line, or a cell holds the delimiter without quotes around it")  # fmt: skip
    return data_error("E0639", message, hint=hint, notes=[f"cells are separated by `{shown}`"])
