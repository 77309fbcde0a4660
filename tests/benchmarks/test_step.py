"""`python -m benchmarks step` runs on the smallest work, compares losses and gradients, and writes what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.table import markdown

ROOT = Path(__file__).parent.parent.parent


def test_the_emitted_and_the_hand_written_step_are_timed(tmp_path: Path) -> None:
    """One round of one step; the command itself refuses losses or gradients that differ."""
    command = [sys.executable, "-m", "benchmarks", "step", "--only", "m2-tiny", "--peers", "ours,direct,products"]
    command += [
        "--precision",
        "highest,medium,bf16",
        "--rounds",
        "1",
        "--steps",
        "1",
        "--json",
        str(tmp_path / "step.json"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "step.json").read_text())
    (work,) = record["works"]
    assert set(work["times"]) == {f"{n}{p}" for n in ("ours", "direct", "products") for p in ("", " medium", " bf16")}
    assert abs(work["losses"]["ours"] - work["losses"]["direct"]) < 1e-3 * work["losses"]["direct"]
    assert work["times"]["direct"]["ratio"] == 1
    assert record["machine"]["packages"]["torch"]
    assert "direct" in done.stdout


@pytest.mark.parametrize("name", ["step", "step_avx2"])
def test_the_tables_of_the_docs_are_those_of_the_results(name: str) -> None:
    """docs/performance.md shows benchmarks/step.json and step_avx2.json, nothing else."""
    record = json.loads((ROOT / "benchmarks" / f"{name}.json").read_text())
    assert markdown(record) in (ROOT / "docs" / "performance.md").read_text()
