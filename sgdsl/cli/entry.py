"""Arguments come in, a command runs, the exit code goes out; the one place where faults of ours are caught."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click

from sgdsl.cli.codes import INTERRUPTED, OURS
from sgdsl.cli.group import sgdsl
from sgdsl.train.errors import Interrupted


def run(arguments: Sequence[str]) -> int:
    """Runs `sgdsl ARGUMENTS`; returns the exit code."""
    try:
        code = sgdsl.main(list(arguments), prog_name="sgdsl", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        return _interrupted(error)
    except Exception as error:  # a fault of ours, whatever it is
        return _fault(error, arguments)
    return code if isinstance(code, int) else 0


def _interrupted(error: BaseException) -> int:
    """Says where the work is kept; click wraps what Ctrl-C raised."""
    cause = error if isinstance(error, Interrupted) else error.__cause__
    click.echo(str(cause) if isinstance(cause, Interrupted) else "interrupted", err=True)
    return INTERRUPTED


def _fault(error: Exception, arguments: Sequence[str]) -> int:
    """The traceback goes into a file, or onto the screen under -v."""
    text = f"sgdsl {' '.join(arguments)}\nPython {sys.version}\n\n{''.join(traceback.format_exception(error))}"
    click.echo("This is a fault of sgdsl, not of your model: " + f"{type(error).__name__}: {error}"[:500], err=True)
    if {"-v", "--verbose"} & set(arguments):
        click.echo(text, err=True)
        return OURS
    import tempfile

    handle, path = tempfile.mkstemp(prefix="sgdsl-fault-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)
    click.echo(f"Please report it with {path}, which holds the traceback.", err=True)
    return OURS
