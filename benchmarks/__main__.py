"""One command, one subcommand a question: the name of a benchmark and its options come in, what it prints goes out.

python -m benchmarks step [--help]
"""

from __future__ import annotations

import argparse
import importlib
from importlib.util import find_spec

QUESTIONS = {
    "step": "CPU time of a training step beside a hand-written step, the matrix products alone, and other libraries",
    "compile": "time to compile a file against the number of its nodes",
    "start": "time until each command has started",
    "memory": "memory of a step beside what `run --dry-run` predicts",
}


def main() -> None:
    """Runs the benchmark that is asked for; those whose module is not there are not offered."""
    there = {name: text for name, text in QUESTIONS.items() if find_spec(f"benchmarks.{name}")}
    parser = argparse.ArgumentParser("python -m benchmarks", add_help=False)
    parser.description = "\n".join(f"{name:8} {text}" for name, text in there.items())
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("question", choices=list(there))
    asked, rest = parser.parse_known_args()
    importlib.import_module(f"benchmarks.{asked.question}").main(rest)


if __name__ == "__main__":
    main()
