"""One file that needs torch alone: emitted text comes in, the same text with the runtime modules it uses in front goes out."""

from __future__ import annotations

import ast
from pathlib import Path

RUNTIME = Path(__file__).resolve().parent.parent / "runtime"
PREFIX = "sgdsl.runtime."


def alone(text: str) -> str:
    """The text with every module of sgdsl.runtime that it needs copied in, in the order of their imports."""
    modules: dict[str, str] = {}
    _collect(text, modules)
    tree = ast.parse(text)
    doc = ast.get_docstring(tree, clean=False) or ""
    pieces = [_body(source) for source in modules.values()] + [_body(text)]
    imports = sorted({line for source in (*modules.values(), text) for line in _imports(source)})
    head = f'"""{doc}"""\n\nfrom __future__ import annotations\n\n' if doc else "from __future__ import annotations\n\n"
    return head + "\n".join(imports) + "\n" + "".join(f"\n\n{piece.strip()}\n" for piece in pieces)


def _collect(text: str, modules: dict[str, str]) -> None:
    """The runtime modules a text imports, each after those it imports itself."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(PREFIX):
            name = node.module.removeprefix(PREFIX)
            if name not in modules:
                source = (RUNTIME / f"{name}.py").read_text(encoding="utf-8")
                _collect(source, modules)
                modules[name] = source


def _imports(text: str) -> list[str]:
    """Import lines of the standard library and torch."""
    found = [n for n in ast.parse(text).body if isinstance(n, ast.Import | ast.ImportFrom)]
    kept = [
        n for n in found if not (isinstance(n, ast.ImportFrom) and (n.module or "").startswith(("sgdsl", "__future__")))
    ]
    return [ast.unparse(n) for n in kept]


def _body(text: str) -> str:
    """A module without its docstring and imports, comments kept."""
    lines = text.splitlines()
    for i, node in enumerate(ast.parse(text).body):
        docstring = i == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if docstring or isinstance(node, ast.Import | ast.ImportFrom):
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    return "\n".join(lines)
