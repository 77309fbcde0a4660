"""What the commands about one model share: a path comes in, the checked model goes out, its warnings said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sgdsl import driver
from sgdsl.cli.talk import Talk


def checked(talk: Talk, path: Path, overrides: Sequence[str] = (), *, aloud: bool = False) -> driver.Checked:
    """Reads and checks; mistakes show the file's lines. `aloud`: warnings too."""
    talk.source = driver.read(path)
    found = driver.check(talk.source, overrides)
    if aloud:
        talk.diagnostics(found.notes)
    return found
