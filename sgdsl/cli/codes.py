"""Exit codes: an exception comes in, the number that tells a script what happened goes out."""

from __future__ import annotations

from sgdsl.base.diagnostics import DiagnosticError
from sgdsl.train.errors import DataError, RunError, TrainingError

DONE = 0
WRONG = 1  # the model is wrong, or the check failed
USAGE = 2
DATA = 3
TRAINING = 4
OURS = 70  # a fault of ours
INTERRUPTED = 130


def code_of(error: DiagnosticError) -> int:
    """The exit code of what the user did wrong."""
    match error:
        case DataError():
            return DATA
        case TrainingError():
            return TRAINING
        case RunError():
            return USAGE
        case _:
            return WRONG
