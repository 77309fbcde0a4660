"""`python -m benchmarks loops`: contestants compute one loss from the same weights, and what does not is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WRONG = """
from benchmarks import loops
class Wrong:
    def __init__(self, right, factor):
        self.found = right[0], factor * right[1]
    def checked(self):
        return self.found
loops.contestants = lambda loop: {}
right = loops.steps("counting", 2)["emitted"].checked()
for factor in (1, 1.01):
    loops.contestants = lambda loop: {"other": Wrong(right, factor)}
    print(*loops.steps("counting", 2))
"""


def run(text: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the benchmark sets the threads of all libraries."""
    return subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("kind", "copies"), [("plate", 3), ("sequence", 4), ("counting", 2)])
@pytest.mark.skipif(not (find_spec("pyro") and find_spec("numpyro")), reason="the extra `bench`")
def test_libraries_have_the_loss_and_gradient_of_the_emitted_step(kind: str, copies: int) -> None:
    """steps() ends the process where a loss or norm differs."""
    done = run(f"from benchmarks import loops; print(*loops.steps({kind!r}, {copies}), sep='\\n')")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["emitted", "Pyro", "NumPyro, jit"]


def test_a_contestant_whose_gradient_differs_is_refused() -> None:
    refused = run(WRONG)
    assert refused.stdout == "emitted other\n", refused.stderr  # the right one is taken
    assert refused.returncode == 1
    assert "counting of 2: other has loss and gradient" in refused.stderr


def test_the_tables_of_the_docs_are_those_of_the_results() -> None:
    """docs/performance.md shows benchmarks/loops.json, nothing else."""
    text = """
import json
from benchmarks.loops import markdown
print(markdown(json.load(open("benchmarks/loops.json"))))
"""
    shown = run(text)
    assert shown.returncode == 0, shown.stderr
    assert json.loads((ROOT / "benchmarks" / "loops.json").read_text())["steps"]
    assert shown.stdout.strip() in (ROOT / "docs" / "performance.md").read_text()
