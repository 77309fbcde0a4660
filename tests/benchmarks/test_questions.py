"""`python -m benchmarks`: every benchmark shows its help, or says in one line what it lacks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks import INSTALL
from benchmarks.__main__ import QUESTIONS

ROOT = Path(__file__).parents[2]
WITHOUT = """
import contextlib, io, json, sys
sys.modules.update(dict.fromkeys(("sklearn", "jax", "numpyro", "pyro", "pixyz")))  # importing them says: not found
from benchmarks.__main__ import QUESTIONS, main
found = {}
for question in QUESTIONS:
    sys.argv[1:] = [question, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            main()
        except SystemExit as end:
            found[question] = end.code, out.getvalue(), err.getvalue()
print(json.dumps(found))
"""


def test_without_the_extra_a_benchmark_shows_its_help_or_what_to_install() -> None:
    """One line instead of a traceback; `paper` is the one that cannot do without."""
    done = subprocess.run([sys.executable, "-c", WITHOUT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    needs = f"python -m benchmarks paper needs sklearn, which is not installed: {INSTALL}\n"
    assert found.pop("paper") == [1, "", needs]
    assert set(found) == set(QUESTIONS) - {"paper"}
    for question, (code, out, err) in found.items():
        assert (code, err) == (0, ""), question
        assert f"benchmarks {question} [-h]" in out
