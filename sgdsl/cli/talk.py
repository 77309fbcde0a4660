"""What a command says: results on standard output, everything else on standard error, as text or as JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from sgdsl.base.diagnostics import Diagnostic
from sgdsl.base.render import FORMAT, as_dict, render
from sgdsl.base.source import Source


@dataclass(slots=True)
class Talk:
    """How this call wants to be talked to. `source`: the file that is being compiled."""

    quiet: bool = False
    verbose: bool = False
    json: bool = False
    source: Source | None = None

    @property
    def color(self) -> bool:
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return not plain and sys.stderr.isatty()

    def say(self, text: str) -> None:
        """A sentence on the way; nothing under -q."""
        if not self.quiet:
            click.echo(text, err=True)

    def result(self, text: str) -> None:
        click.echo(text)

    def document(self, values: Mapping[str, object]) -> None:
        """A result for programs."""
        click.echo(json.dumps({"format": FORMAT, **values}, ensure_ascii=False, indent=2, allow_nan=False))

    def diagnostics(self, found: Iterable[Diagnostic]) -> None:
        """What was found, with carets, on standard error. Under -q errors only."""
        for diagnostic in found:
            if diagnostic.severity == "error" or not self.quiet:
                click.echo(render(diagnostic, self.color, self.source) + "\n", err=True)

    def failed(self, found: Iterable[Diagnostic]) -> None:
        """Errors, where the caller reads them: on standard error, or as the JSON result."""
        if self.json:
            self.document({"ok": False, "diagnostics": [as_dict(d, self.source) for d in found]})
        else:
            self.diagnostics(found)


def write(path: Path, content: str | bytes) -> None:
    """A result as a file. Raises UsageError where it cannot be written."""
    try:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise click.UsageError(f"cannot write {path}: {error.strerror}") from None
