"""A path comes in; a Source that is text and not too large goes out, or a diagnostic of group E01."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sgdsl.base.diagnostics import DiagnosticError
from sgdsl.base.source import Source, Span
from sgdsl.frontend import syntax
from sgdsl.frontend.report import fatal, refusal

USED = "used"
LIMIT = 256 * 1024
_BOMS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
_JUNK = frozenset(range(32)) - {9, 10, 12, 13}


def read_source(path: Path | str) -> Source:
    """The text of a file, its byte order mark dropped. Raises DiagnosticError: E0105, E0106, E0109."""
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            raw = file.read(LIMIT + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise fatal("E0109", f"cannot read `{name}`: {reason}", None, Source(name, ""), _missing(name)) from None
    if len(raw) > LIMIT:
        raise _too_large(Source(name, ""))
    return Source(name, decode(raw, name))


def decode(raw: bytes, name: str) -> str:
    """UTF-8 bytes as text. Raises DiagnosticError: E0105 at the line of the first byte that is not."""
    for bom, encoding in _BOMS:
        if raw.startswith(bom):
            raise fatal("E0105", f"the file is {encoding}, not UTF-8", None, Source(name, ""), "save it as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = error.start + (3 if raw.startswith(b"\xef\xbb\xbf") else 0)
        line, byte = raw[:start].count(b"\n") + 1, raw[start]
        message = f"line {line} holds the byte 0x{byte:02x}, which is not UTF-8"
        raise fatal("E0105", message, None, Source(name, ""), "save the file as UTF-8") from None
    check_text(Source(name, text))
    return text


def check_text(source: Source) -> None:
    """Refuse what is no text of a model: too large (E0106), control characters (E0105)."""
    if len(source.text) > LIMIT:
        raise _too_large(source)
    junk = next((i for i, c in enumerate(source.text) if ord(c) in _JUNK), None)
    if junk is not None:
        message = f"the character U+{ord(source.text[junk]):04X} does not belong in text: is this a .sgm file?"
        raise fatal("E0105", message, Span(junk, junk + 1), Source(source.name, source.text))
    lone = next((i for i, c in enumerate(source.text) if "\ud800" <= c <= "\udfff"), None)
    if lone is not None:
        raise fatal("E0105", "half a surrogate pair: the text is no Unicode", None, Source(source.name, ""))


def _too_large(source: Source) -> Exception:
    return fatal("E0106", f"the source is larger than {LIMIT // 1024} kB", None, Source(source.name, ""))


def _missing(name: str) -> str:
    """The .sgm files beside a path that is none."""
    folder = os.path.dirname(name) or "."
    if os.path.exists(name) or not os.path.isdir(folder):
        return ""
    beside = sorted(n for n in os.listdir(folder) if n.endswith(".sgm"))[:5]
    return f"here are: {', '.join(beside)}" if beside else ""


def read_used(file: syntax.Text, source: Source, chain: Sequence[tuple[str, Source]]) -> Source:
    """The model of a `use` line in `source`, its path relative to that file. In a run folder models lie in its `used/` as they
    were when it was run, named by `chain`: the models that use the next one, outermost first, each with its name for that.
    Raises Refused: E0109, E0220; DiagnosticError."""
    path = os.path.normpath(os.path.join(os.path.dirname(source.name), file.value))
    run = os.path.dirname(chain[0][1].name)
    copy = os.path.join(run, USED, ".".join(name for name, _ in chain) + ".sgm")
    if os.path.isfile(os.path.join(run, "run.json")) and os.path.isfile(copy):
        path = copy
    files = [s.name for _, s in chain]
    above = next((i for i, name in enumerate(files) if os.path.realpath(name) == os.path.realpath(path)), None)
    if above is not None:
        circle = " → ".join((*files[above:], path))
        raise refusal("E0220", f"a model that uses itself: {circle}", file.span, "uses itself",
                      hint="drop this line, or write the factors out")  # fmt: skip
    try:
        return read_source(path)
    except DiagnosticError as error:
        found = error.diagnostics[0]
        raise refusal(found.code, found.message, file.span, "used here", hint=found.hint) from None
