"""The library as a notebook uses it: compile, look, build, fit, ask."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch

import sgdsl
from sgdsl.library import ModelError

TEXT = """model tiny "a label before a latent"
observed x : real[3]
supervised y : class(4)
latent z : real[2]
p(y) = Categorical
p(z) = Normal
p(x | y, z) = Normal(mlp(8))
q(y | x) = Categorical(mlp(8))
q(z | x, y) = Normal(mlp(8))
"""


@pytest.fixture(scope="module")
def model() -> sgdsl.Model:
    return sgdsl.compile(TEXT)


@pytest.fixture(scope="module")
def trained(model: sgdsl.Model, tmp_path_factory: pytest.TempPathFactory) -> sgdsl.Run:
    random = np.random.default_rng(0)
    y = random.integers(0, 4, 80)
    x = random.normal(size=(80, 3)).astype(np.float32) + y[:, None]
    known = np.where(np.arange(80) < 40, y, -1)
    out = tmp_path_factory.mktemp("runs") / "tiny"
    return sgdsl.fit(model, {"x": x, "y": known}, out=out, quiet=True, epochs=2, batch=20, seed=3)


def test_a_path_and_a_text_are_the_same_model(model: sgdsl.Model, tmp_path: Path) -> None:
    """Both ways in give the same Python."""
    path = tmp_path / "tiny.sgm"
    path.write_text(TEXT)
    assert sgdsl.compile(path).text == sgdsl.compile(str(path)).text == model.text
    compile(model.alone(), "alone", "exec")


def test_a_model_shows_itself(model: sgdsl.Model) -> None:
    """Its equations in a console, its graph in a notebook, its plan on demand."""
    assert "supervised y : class(4)" in repr(model)
    assert "q(z | x, y) = Normal(mlp(8))" in repr(model)
    bundle = model._repr_mimebundle_()
    assert bundle["image/svg+xml"].startswith("<svg")
    assert bundle["text/plain"] == repr(model)
    assert "red" not in model.graph("model").svg
    assert "enumerated" in model.explain()


def test_the_dags_are_networkx(model: sgdsl.Model) -> None:
    """Protects what a user computes on graphs: parents of each side, lets contracted, nobody can change them."""
    p, q = model.dag("p"), model.dag("q")
    assert nx.is_directed_acyclic_graph(p)
    assert set(p.predecessors("x")) == {"y", "z"}
    assert set(q.predecessors("z")) == {"x", "y"}
    assert p.nodes["y"]["role"] == "supervised"
    with pytest.raises(nx.NetworkXError):
        p.add_edge("x", "z")


def test_a_graph_is_saved(model: sgdsl.Model, tmp_path: Path) -> None:
    """By the ending of its name."""
    model.graph().save(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"\.svg"):
        model.graph().save(tmp_path / "a.jpg")


def test_build_gives_a_module_of_its_own(model: sgdsl.Model) -> None:
    """Each build has fresh weights, the same for the same seed."""
    torch.manual_seed(0)
    first = model.build()
    torch.manual_seed(0)
    second = model.build()
    assert isinstance(first, torch.nn.Module)
    assert set(first.state_dict()) == set(second.state_dict())
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name])
        assert weight is not second.state_dict()[name]


def test_a_wrong_model_is_told_with_carets() -> None:
    """What a notebook prints is what the command line prints."""
    with pytest.raises(ModelError, match=r"(?s)did you mean `Normal`.*") as caught:
        sgdsl.compile(TEXT.replace("= Normal\n", "= Normall\n"))
    assert "^^^^^^^" in str(caught.value)
    with pytest.raises(ModelError, match="epochs"):
        sgdsl.compile(TEXT, epoch=3)
    with pytest.raises(ModelError, match="cannot read"):
        sgdsl.compile("no.sgm")


def test_settings_find_their_section() -> None:
    """samples belongs to the objective, lr to the training."""
    found = sgdsl.compile(TEXT, samples=4, lr=0.5).program.model
    assert found.setting("objective", "samples").value == 4  # type: ignore[union-attr]
    assert found.setting("train", "lr").value == 0.5  # type: ignore[union-attr]


def test_a_trained_run_answers(trained: sgdsl.Run) -> None:
    """posterior, sample and log_prob, in numpy, with and without labels."""
    x = np.zeros((5, 3), np.float32)
    posterior = trained.posterior(x)
    assert np.asarray(posterior["y"]).shape == (5, 4)
    np.testing.assert_allclose(np.asarray(posterior["y"]).sum(1), 1, atol=1e-4)
    drawn = trained.sample(6, y=3)
    assert drawn["x"].shape == (6, 3)
    assert (drawn["y"] == 3).all()
    alone, joint = trained.log_prob(x), trained.log_prob(x, y=np.full(5, 2))
    assert alone.shape == joint.shape == (5,)
    assert np.isfinite(alone).all()


def test_a_run_is_loaded_again(trained: sgdsl.Run) -> None:
    """A run folder needs no .sgm file: same weights, same answers."""
    again = sgdsl.load(trained.folder)
    for name, weight in trained.module.state_dict().items():
        assert torch.equal(weight, again.module.state_dict()[name])


def test_importing_the_package_is_cheap() -> None:
    """torch comes with the first name that needs it."""
    script = "import sys, sgdsl; a = 'torch' in sys.modules; sgdsl.compile; print(a, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
    assert {"compile", "fit", "load", "Model", "Run"} <= set(dir(sgdsl))
    with pytest.raises(AttributeError, match="no attribute"):
        _ = sgdsl.nothing
