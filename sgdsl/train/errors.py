"""What can go wrong between a good program and a trained model: words come in, an exception with a diagnostic goes out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sgdsl.base.diagnostics import Diagnostic, DiagnosticError
from sgdsl.base.source import Source, Span


class DataError(DiagnosticError):
    """The data: a file, a field, a row or a number of labels (E0620–E0649). Exit code 3."""


class TrainingError(DiagnosticError):
    """The training itself: a value that is not finite (E0650–E0659). Exit code 4. `folder`: its run; `term`: the factor,
    `rows`: up to five rows of the data set."""

    folder: Path | None = None
    term: str = ""
    rows: tuple[int, ...] = ()


class RunError(DiagnosticError):
    """A run folder, a device or a question that is not possible (E0660–E0679). Exit code 2."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, after the checkpoint in `folder` was written. Exit code 130."""

    def __init__(self, folder: Path, step: int) -> None:
        self.folder = folder
        self.step = step
        super().__init__(f"stopped after step {step}; continue with --resume {folder}")


def data_error(code: str, message: str, *, hint: str = "", notes: Iterable[str] = ()) -> DataError:
    """One mistake in the data, to raise."""
    return DataError([Diagnostic(code, message, notes=tuple(notes), hint=hint)])


def run_error(code: str, message: str, *, hint: str = "") -> RunError:
    """One impossible wish about a run, to raise."""
    return RunError([Diagnostic(code, message, hint=hint)])


def training_error(
    code: str,
    message: str,
    *,
    hint: str = "",
    notes: Iterable[str] = (),
    span: Span | None = None,
    source: Source | None = None,
    under: str = "",
) -> TrainingError:
    """One failure of the training, to raise; `span` and `source`: the factor's line."""
    return TrainingError([Diagnostic(code, message, span, under, (), tuple(notes), hint, "error", source)])
