"""One command, one subcommand a question: the name of a benchmark and its options come in, what it prints goes out.

python -m benchmarks step [--help]
"""

from __future__ import annotations

import argparse
import importlib
import sys
from importlib.util import find_spec

from benchmarks import INSTALL

QUESTIONS = {
    "step": "CPU time of a training step beside a hand-written step, the matrix products alone, and other libraries",
    "growth": "time and memory of a step against samples, classes, rows and labels",
    "memory": "memory of a step beside what `run --dry-run` predicts",
    "data": "the share of an epoch that goes into batches",
    "pages": "a step with and without the pages of memory kept",
    "alpha": "errors of labels and log p(x) against the weight of labels, on sensor-like data",
    "groups": "errors of the bound with weights by group and with one joint weight",
    "paper": "the experiments of Siddharth et al. (2017) beside their baselines",
    "counts": "the counting model on canvases of digits, beside the ink alone",
    "best": "test error of the best gallery model at 100 labels of 50,000 rows, over label seeds",
    "loops": "time to compile and of a step against the number of copies",
    "compile": "time to compile a file against the number of its nodes",
    "start": "time until each command has started",
}


def main() -> None:
    """Runs the benchmark that is asked for; those whose module is not there are not offered."""
    there = {name: text for name, text in QUESTIONS.items() if find_spec(f"benchmarks.{name}")}
    parser = argparse.ArgumentParser("python -m benchmarks", formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.description = "\n".join(f"{name:8} {text}" for name, text in there.items())
    parser.add_argument("question", choices=list(there), help="followed by its options; --help there shows them")
    asked = parser.parse_args(sys.argv[1:2])
    try:
        module = importlib.import_module(f"benchmarks.{asked.question}")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "benchmarks", "sgdsl"):
            raise
        parser.exit(1, f"python -m benchmarks {asked.question} needs {package}, which is not installed: {INSTALL}\n")
    module.main(sys.argv[2:])


if __name__ == "__main__":
    main()
