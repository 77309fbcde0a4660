"""HTML as values: names, attributes and children come in, escaped text goes out; only Markup is taken as it is."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

VOID = frozenset({"br", "col", "hr", "img", "input", "meta"})
Attribute = str | int | float | bool | None


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = Markup | str | None


def element(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """`element("td", "a < b", class_="n", data_x=1)`: children that are plain text are escaped, None is left out; an underscore
    in an attribute is a hyphen, one at its end falls away; False and None leave the attribute out, True writes its name."""
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        assert not children, f"<{name}> has no children"
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{joined(children)}</{name}>")


def joined(children: Iterable[Child]) -> Markup:
    """Children side by side."""
    return Markup("".join(c if isinstance(c, Markup) else escape(c, quote=False) for c in children if c is not None))


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def table(
    caption: str, heads: Iterable[Child], rows: Iterable[Iterable[Child]], numbers: frozenset[int] = frozenset()
) -> Markup:
    """A table with a caption; the first cell of a row names it; columns in `numbers` are set to the right. It scrolls by itself
    where the page is narrow."""
    head = element("tr", *(_head(cell, i in numbers) for i, cell in enumerate(heads)))
    body = [element("tr", *(_cell(cell, i, i in numbers) for i, cell in enumerate(row))) for row in rows]
    made = element("table", element("caption", caption), element("thead", head), element("tbody", *body))
    return element("div", made, class_="scroll", tabindex=0, role="region", aria_label=caption)


def _head(cell: Child, number: bool) -> Markup:
    return element("th", cell, scope="col", class_="number" if number else None)


def _cell(cell: Child, column: int, number: bool) -> Markup:
    if column == 0:
        return element("th", cell, scope="row")
    return element("td", cell, class_="number" if number else None)
