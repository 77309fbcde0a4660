"""Runs emitted text as a module: a string of Python comes in, a module that tracebacks and torch.compile can see goes out."""

from __future__ import annotations

import linecache
import sys
from types import ModuleType


def load(text: str, name: str) -> ModuleType:
    """A module named `name`, registered in sys.modules, whose source linecache shows in tracebacks."""
    filename = f"<{name}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    module = ModuleType(name)
    module.__file__ = filename
    sys.modules[name] = module
    exec(compile(text, filename, "exec"), module.__dict__)
    return module
