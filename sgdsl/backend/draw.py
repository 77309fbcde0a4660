"""DOT text comes in, a picture goes out: SVG, PNG or PDF, by the system's `dot` or else by the Graphviz in pygraphviz."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pygraphviz import AGraph

Format = Literal["svg", "png", "pdf"]
FORMATS: tuple[Format, ...] = ("svg", "png", "pdf")
DPI = 160

_FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{fonts}</dir><cachedir>{cache}</cachedir>
<alias binding="same"><family>Times</family><prefer><family>STIXGeneral</family><family>DejaVu Serif</family></prefer></alias>
</fontconfig>
"""


def draw(dot: str, kind: Format) -> bytes:
    """The picture of a graph."""
    options = [f"-T{kind}", *([f"-Gdpi={DPI}"] if kind == "png" else [])]
    return _by_system(dot, options) or _in_process(dot, kind)


def _by_system(dot: str, options: list[str]) -> bytes | None:
    """By the `dot` on the PATH; None where there is none, or it does not do it."""
    program = shutil.which("dot")
    if program is None:
        return None
    try:
        done = subprocess.run([program, *options], input=dot.encode(), capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 and done.stdout else None


def _in_process(dot: str, kind: Format) -> bytes:
    """By the library that pygraphviz brings: needs no program and no font of the system."""
    graph = AGraph(string=dot)
    if kind == "png":
        graph.graph_attr["dpi"] = str(DPI)
    with _fonts():
        picture: bytes = graph.draw(format=kind, prog="dot")
    graph.close()
    return picture


@contextmanager
def _fonts() -> Iterator[None]:
    """Points the library to the fonts that matplotlib ships, so that labels look alike everywhere."""
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None or "FONTCONFIG_FILE" in os.environ:
        yield
        return
    fonts = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "fonts.conf")
        file.write_text(_FONTS.format(fonts=fonts, cache=folder), encoding="utf-8")
        os.environ["FONTCONFIG_FILE"] = str(file)
        try:
            yield
        finally:
            del os.environ["FONTCONFIG_FILE"]
