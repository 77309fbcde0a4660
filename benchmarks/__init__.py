"""Measurements: `python -m benchmarks` names them."""

INSTALL = "pip install -c constraints.txt -e '.[bench]'"  # what other libraries come with


def left_out(titles: list[str]) -> str:
    """The line about contestants whose library is not installed."""
    return f"not installed, left out: {', '.join(titles)} ({INSTALL})"
