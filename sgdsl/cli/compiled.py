"""What the commands about one model share: a path comes in, the checked model goes out, its warnings said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sgdsl.checked import Checked, check, read
from sgdsl.cli.talk import Talk


def checked(talk: Talk, path: Path, overrides: Sequence[str] = (), *, aloud: bool = False) -> Checked:
    """Reads and checks; mistakes show the file's lines. `aloud`: warnings too."""
    talk.source = read(path)
    found = check(talk.source, overrides)
    if aloud:
        talk.diagnostics(found.notes)
    return found
