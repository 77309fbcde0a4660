"""report.html: a run comes in, its page is written."""

from __future__ import annotations

from pathlib import Path

from sgdsl.report.material import gather
from sgdsl.report.page import page
from sgdsl.train.checkpoint import write_text
from sgdsl.train.errors import run_error
from sgdsl.train.run import Run

NAME = "report.html"


def write_report(run: Run, path: Path | None = None) -> Path:
    """Writes the page of a run that was fit or loaded, into its folder or to `path`. Raises RunError: E0661, E0662."""
    target = path or run.folder / NAME
    text = page(gather(run))
    try:
        write_text(target, text)
    except OSError as error:
        raise run_error("E0661", f"cannot write `{target}`: {error.strerror or error}") from None
    return target
