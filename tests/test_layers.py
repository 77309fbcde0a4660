"""Keeps the layers of docs/architecture: who imports whom, nothing in a circle, small files and functions."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "sgdsl"
FILES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

INSIDE = {
    "base": set(),
    "catalog": {"base"},
    "middle": {"base", "catalog"},
    "frontend": {"base", "catalog", "middle.ir"},
    "backend": {"base", "catalog", "middle"},
    "checked": {"base", "catalog", "middle", "frontend"},
    "driver": {"base", "catalog", "middle", "frontend", "backend", "checked"},
    "runtime": set(),
    # of the runtime what loads text, makes batches and draws; never its densities, bounds, levels or networks
    "oracle": {"base", "catalog", "middle", "driver", "runtime.load", "runtime.batch", "runtime.draws"},
    "train": {"base", "catalog", "driver", "runtime"},
    "report": {"base", "catalog", "middle", "backend", "driver", "runtime", "train"},
    "library": {"base", "catalog", "driver", "backend", "runtime", "train"},
    "cli": {
        "base",
        "catalog",
        "middle",
        "frontend",
        "backend",
        "checked",
        "driver",
        "runtime",
        "oracle",
        "train",
        "report",
        "",
    },
    "__init__": {"library"},
    "__main__": {"cli"},
}
TORCH = {"runtime", "oracle", "train", "report", "library"}
WHOLE = {"sgdsl.middle.ir"}  # one idea, and long: every class of the IR side by side
LIBRARIES = {
    "base": set(),
    "catalog": set(),
    "middle": set(),
    "frontend": {"lark"},
    "backend": {"graphviz", "pygraphviz"},
    "checked": set(),
    "driver": set(),
    "runtime": {"torch"},
    "oracle": {"torch", "numpy"},
}


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def package_of(module: str) -> str:
    """The row of the table: sgdsl.frontend.parse → frontend, sgdsl → ""."""
    return module.split(".")[1] if "." in module else ""


MODULES = {name_of(f): f for f in FILES}


def imports(file: Path) -> Iterator[tuple[str, ast.stmt]]:
    """Every module that a file imports, `from a import b` as a.b where that is a module."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield (full if full in MODULES else str(node.module)), node


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_keep_the_table(file: Path) -> None:
    """The compiler never imports torch, the runtime never the compiler, and so on: the table of the architecture."""
    package = package_of(name_of(file))
    for module, node in imports(file):
        top = module.split(".")[0]
        if top == "sgdsl":
            target = package_of(module)
            allowed = {package, *INSIDE[package]}
            whole = module.removeprefix("sgdsl.")
            assert target in allowed or whole in allowed, f"{file}:{node.lineno}: {package} may not import {module}"
        elif package in LIBRARIES and top not in sys.stdlib_module_names:
            assert top in LIBRARIES[package], f"{file}:{node.lineno}: {package} may not import {module}"
        elif top == "torch":
            assert package in TORCH or package == "cli", f"{file}:{node.lineno}: {package} may not import torch"


@pytest.mark.parametrize("file", [f for f in FILES if "cli" not in f.parts], ids=name_of)
def test_no_import_inside_a_function(file: Path) -> None:
    """Imports stand on top, so that the layers can be read off a file; only the command line is lazy."""
    for function in ast.walk(ast.parse(file.read_text())):
        if isinstance(function, ast.FunctionDef):
            inner = [n for n in ast.walk(function) if isinstance(n, ast.Import | ast.ImportFrom)]
            assert not inner, f"{file}:{inner[0].lineno}: an import inside {function.name}"


def test_no_circle() -> None:
    """No file needs itself in the end."""
    graph = nx.DiGraph((name_of(f), m) for f in FILES for m, _ in imports(f) if m in MODULES and m != "sgdsl.__init__")
    graph.remove_nodes_from(["sgdsl.library", "sgdsl.__init__"])  # __init__ names the library for type checkers only
    assert nx.is_directed_acyclic_graph(graph), nx.find_cycle(graph)


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_files_and_functions_are_small(file: Path) -> None:
    """At most 250 lines a file and 40 a function."""
    text = file.read_text()
    assert text.count("\n") <= 250 or name_of(file) in WHOLE, f"{file} has {text.count(chr(10))} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 40, f"{file}:{node.lineno}: {node.name} has {length} lines"


@pytest.mark.parametrize("file", [*FILES, *TESTS], ids=name_of)
def test_files_say_what_they_do(file: Path) -> None:
    """One sentence on top of each file."""
    text = file.read_text()
    assert not text or ast.get_docstring(ast.parse(text)), f"{file} says nothing on top"
