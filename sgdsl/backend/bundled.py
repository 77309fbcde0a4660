"""DOT on standard input comes in, a picture on standard output goes out, by the Graphviz inside pygraphviz.

Run as a program of its own: the library reads its fonts from the environment once a process, and complains on
standard error of font settings newer than itself.
"""

from __future__ import annotations

import sys

from pygraphviz import AGraph


def main(options: list[str]) -> None:
    """`-Tpng` and such, as `dot` has them."""
    graph = AGraph(string=sys.stdin.buffer.read().decode())
    kind = next(o[2:] for o in options if o.startswith("-T"))
    arguments = " ".join(o for o in options if not o.startswith("-T"))
    sys.stdout.buffer.write(graph.draw(format=kind, prog="dot", args=arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
