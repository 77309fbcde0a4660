"""DOT text comes in, a picture goes out: SVG, PNG or PDF, by the system's `dot`, else by the Graphviz in pygraphviz."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

Format = Literal["svg", "png", "pdf"]
FORMATS: tuple[Format, ...] = ("svg", "png", "pdf")
SECONDS = 60

_BUNDLED = Path(__file__).with_name("bundled.py")
_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{fonts}</dir><cachedir>{cache}</cachedir>
<alias binding="same"><family>Times</family><prefer><family>DejaVu Serif</family></prefer></alias></fontconfig>
"""


class DrawError(Exception):
    """Neither Graphviz could draw it; says what the last one printed."""


def draw(dot: str, kind: Format) -> bytes:
    """The picture of a graph. Raises DrawError."""
    options = [f"-T{kind}", *(["-Gdpi=160"] if kind == "png" else [])]
    program = shutil.which("dot")
    if program is not None:
        done = _run([program, *options], dot, os.environ)
        if done.returncode == 0 and done.stdout:
            return done.stdout
    with tempfile.TemporaryDirectory() as folder:
        done = _run([sys.executable, str(_BUNDLED), *options], dot, os.environ | _fonts(folder))
    if done.returncode != 0 or not done.stdout:
        raise DrawError(done.stderr.decode(errors="replace").strip()[-2000:])
    return done.stdout


def _run(command: Sequence[str], dot: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    """A program that reads DOT and writes a picture; one that cannot be run at all counts as one that failed."""
    try:
        return subprocess.run(command, input=dot.encode(), env=environment, capture_output=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, b"", str(error).encode())


def _fonts(folder: str) -> dict[str, str]:
    """Points Graphviz to the fonts that matplotlib ships: a bare machine has none, and labels look alike everywhere."""
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None or "FONTCONFIG_FILE" in os.environ:
        return {}
    fonts = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    file = Path(folder, "fonts.conf")
    file.write_text(_FONTS.format(fonts=fonts, cache=folder), encoding="utf-8")
    return {"FONTCONFIG_FILE": str(file)}
