"""A run of a small model of pictures, made by the command line, whose words try to break out of the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sgdsl.cli.entry import run
from tests.train.conftest import fitted as fitted

DOC = "4 < 5 & <script>alert('doc')</script><img src=x onerror=alert(1)>"
PICTURES = f"""model hostile "{DOC}"
observed x : unit[1, 6, 5]
supervised y : class(3)
latent z : real[3]
p(y) = Categorical
p(z) = Normal
p(x | y, z) = Bernoulli(mlp(8))
q(y | x) = Categorical(mlp(8))
q(z | x, y) = Normal(mlp(8))
data npz(file = "FILE", labels = 30)
train {{ epochs = 4, batch = 50, lr = 3e-2 }}
"""


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder; its data file has tags in its name."""
    home = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 400)
    x = 0.6 * random.random((400, 1, 6, 5))
    for row, c in enumerate(y):
        x[row, 0, 2 * c : 2 * c + 2] += 0.4
    data = home / "<i>rows.npz"
    np.savez(data, x_train=x[:300], y_train=y[:300], x_test=x[300:], y_test=y[300:])
    (home / "m.sgm").write_text(PICTURES.replace("FILE", str(data)))
    assert run(["run", str(home / "m.sgm"), "--out", str(home / "run"), "-q", "--seed", "1"]) == 0
    return home / "run"
