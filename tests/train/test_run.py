"""What a trained run answers, from the same process and from its folder, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sgdsl.train.errors import DataError, RunError
from sgdsl.train.run import Run
from tests.train.small import AFTER, TINY, Fit, clusters, codes, images, same, weights_of

FINITE = """model finite "Everything can be summed over."

observed   x : binary[8]
supervised y : class(3)

p(y)     = Categorical(learned)
p(x | y) = Bernoulli(table)
q(y | x) = Categorical(mlp(8))

train { epochs = 5, batch = 30, lr = 3e-2 }
"""

CONDITIONAL = """model conditional "A condition and a number."

given      w : class(2)
observed   x : real[2]
supervised t : positive
latent     z : real[2]

p(z)        = Normal
p(t | z)    = LogNormal(mlp(4))
p(x | z, w) = Normal(mlp(4))
q(z | x, w) = Normal(mlp(4))
q(t | z)    = LogNormal(mlp(4))

objective { samples = 2 }
train { epochs = 1, batch = 30 }
"""


def condition_rows(rows: int = 60) -> dict[str, Any]:
    random = np.random.default_rng(0)
    return {"w": np.arange(rows) % 2, "x": random.normal(size=(rows, 2)), "t": np.exp(random.normal(size=rows))}


def test_beliefs_about_classes_are_probabilities_and_known_labels_are_certain(fitted: Fit) -> None:
    data = clusters()
    run = fitted(data)
    found = run.posterior(x=data["x"][:3], y=[0, -1, 2])
    assert found["y"].shape == (3, 3)
    assert np.allclose(found["y"].sum(1), 1)
    assert found["y"][[0, 2]].tolist() == [[1, 0, 0], [0, 0, 1]]
    assert 0 < found["y"][1].max() < 1
    mean, deviation = found["z"]
    assert mean.shape == deviation.shape == (3, 2)
    assert (deviation > 0).all()


def test_one_array_is_the_observed_node_and_bytes_are_grey_levels(fitted: Fit) -> None:
    data = images()
    run = fitted(data, text=AFTER)
    answers = []
    for x in (data["x"], data["x"] / 255, torch.from_numpy(data["x"])):
        torch.manual_seed(0)
        answers.append(run.posterior(x)["y"])
    assert answers[0].shape == (90, 3)
    assert np.allclose(answers[0], answers[1], atol=1e-5)
    assert np.array_equal(answers[0], answers[2])


def test_log_prob_is_the_marginal_of_a_model_that_can_be_summed(fitted: Fit) -> None:
    """Against log Σ_y p(y) p(x | y): importance sampling over three classes with many draws; a label makes it exact."""
    data = clusters()
    run = fitted(data, text=FINITE)
    x = torch.from_numpy(data["x"][:4])[None]
    joint = []
    for y in range(3):
        terms = run.module.log_p({"x": x, "y": torch.full((1, 4), y)})
        joint.append((terms["x"] + terms["y"])[0].detach().numpy())
    exact = np.logaddexp.reduce(joint, axis=0)
    assert np.allclose(run.log_prob(data["x"][:4], samples=4000), exact, atol=0.1)
    assert np.allclose(
        run.log_prob(data["x"][:4], y=data["y"][:4], samples=1), np.array(joint)[data["y"][:4], range(4)], atol=1e-5
    )
    assert np.allclose(run.log_prob(x=data["x"][:4], y=None, samples=4000), exact, atol=0.1)


def test_samples_hold_what_is_given(fitted: Fit) -> None:
    run = fitted(clusters(), "train.epochs=40", "train.lr=3e-2")
    drawn = run.sample(50, y=2)
    assert {name: value.shape for name, value in drawn.items()} == {"x": (50, 8), "y": (50,), "z": (50, 2)}
    assert (drawn["y"] == 2).all()
    assert set(np.unique(drawn["x"])) <= {0, 1}
    assert run.sample(2, y=[0, 1])["y"].tolist() == [0, 1]
    means = run.sample(50, y=2, mean=True)["x"]
    assert ((means > 0) & (means < 1)).all()
    assert np.abs(means.mean(0) - np.array([0.9, 0.1] * 4)).max() < 0.25
    held = run.sample(3, z=[0.5, -1.0])["z"]
    assert held.tolist() == [[0.5, -1.0]] * 3


def test_conditions_numbers_and_their_scores(fitted: Fit) -> None:
    """A given node and a continuous label: a condition is needed everywhere, the label's score is a root-mean-square."""
    data = condition_rows()
    run = fitted(data, text=CONDITIONAL, test=data)
    assert run.sample(4, w=1)["x"].shape == (4, 2)
    with pytest.raises(RunError, match="`w` is given"):
        run.sample(4)
    with pytest.raises(DataError) as error:
        run.posterior(data["x"])
    assert codes(error) == ["E0624"]
    mean, _ = run.posterior(data["x"], w=data["w"])["t"]
    score = run.evaluate(samples=2).scores["t"]
    assert score.kind == "rmse"
    assert score.value == pytest.approx(float(np.sqrt(np.mean((mean - data["t"]) ** 2))), rel=0.1)


@pytest.mark.parametrize(
    ("ask", "kind", "code"),
    [
        (lambda run: run.posterior(clusters()["x"], lable=[0]), RunError, "E0665"),
        (lambda run: run.posterior(1, 2), RunError, "E0665"),
        (lambda run: run.sample(2, q=1), RunError, "E0665"),
        (lambda run: run.sample(2, y=3), DataError, "E0626"),
        (lambda run: run.sample(2, y=0.5), DataError, "E0626"),
        (lambda run: run.sample(2, y="three"), RunError, "E0665"),
        (lambda run: run.sample(2, z=[1.0, 2.0, 3.0]), DataError, "E0625"),
        (lambda run: run.posterior(np.zeros((2, 7))), DataError, "E0625"),
        (lambda run: run.posterior(np.full((2, 8), 0.5)), DataError, "E0626"),
        (lambda run: run.log_prob(clusters()["x"][:2], y=[0, 7]), DataError, "E0626"),
    ],
)
def test_questions_that_make_no_sense_are_diagnostics(fitted: Fit, ask: Any, kind: type[Exception], code: str) -> None:
    run = fitted(clusters(), "train.epochs=1")
    with pytest.raises(kind) as error:
        ask(run)
    assert codes(error) == [code]


def test_a_folder_gives_back_the_run(fitted: Fit) -> None:
    """Weights to evaluate with (averaged), answers and held-out scores are those of the process that trained it."""
    data = clusters()
    run = fitted(data, "train.average=0.9", test=clusters(30, 1))
    loaded = Run.load(run.folder, data, clusters(30, 1))
    assert same(weights_of(run), weights_of(loaded))
    assert loaded.evaluate(samples=3).as_dict() == run.evaluate(samples=3).as_dict()
    torch.manual_seed(1)
    first = run.posterior(data["x"])["y"]
    torch.manual_seed(1)
    assert np.array_equal(first, loaded.posterior(data["x"])["y"])


def test_a_run_finds_its_file_again_from_another_folder(
    fitted: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "rows.npz", **clusters())
    run = fitted(Path("rows.npz"))
    folder = run.folder.resolve()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = Run.load(folder).evaluate(samples=2)
    assert (found.rows, found.source) == (18, "rows.npz, a fifth held out")


def test_arrays_must_be_given_again_and_are_then_evaluated_as_a_whole(fitted: Fit) -> None:
    run = fitted(clusters())
    assert run.evaluate().rows == 0
    with pytest.raises(DataError) as error:
        Run.load(run.folder).evaluate()
    assert codes(error) == ["E0634"]
    assert Run.load(run.folder, clusters(12, 5)).evaluate(samples=2).rows == 12


@pytest.mark.parametrize("name", ["model.sgm", "config.json", "checkpoints/weights.safetensors"])
@pytest.mark.parametrize("damage", [None, b"", b"junk"])
def test_a_damaged_folder_is_a_diagnostic(fitted: Fit, name: str, damage: bytes | None) -> None:
    run = fitted(clusters(), "train.epochs=1")
    file = run.folder / name
    file.unlink() if damage is None else file.write_bytes(damage)
    with pytest.raises(RunError) as error:
        Run.load(run.folder)
    assert codes(error) == ["E0662"]


def test_nothing_in_a_run_folder_is_executed(fitted: Fit) -> None:
    """A run may come from anywhere: model.py is for readers, the model is compiled again from its .sgm file."""
    run = fitted(clusters(), "train.epochs=1")
    (run.folder / "model.py").write_text("raise SystemExit('owned')\n")
    assert same(weights_of(run), weights_of(Run.load(run.folder)))


def test_no_file_of_a_run_is_a_pickle(fitted: Fit) -> None:
    run = fitted(clusters(), "train.epochs=1")
    for path in run.folder.rglob("*"):
        if path.is_file():
            assert path.suffix in (".json", ".jsonl", ".sgm", ".py", ".safetensors")
            assert not path.read_bytes().startswith((b"\x80", b"PK"))


def test_the_embedded_digits_train_a_compiled_file(fitted: Fit) -> None:
    """The `data` line of the quick start: one short epoch of a small model on the 8,000 digits."""
    text = TINY.replace("binary[8]", "unit[1, 28, 28]").replace("class(3)", "class(10)") + "data mnist(labels = 100)\n"
    run = fitted(None, "train.epochs=1", "train.batch=500", text=text)
    found = run.evaluate(samples=2)
    assert (found.source, found.rows) == ("MNIST, first 10,000", 2000)
    assert run.config["rows"] == {
        "labelled": 100, "unlabelled": 7900, "validation": 0, "held_out": 2000, "labels": {"y": 100},
    }  # fmt: skip
    assert 0.2 < found.scores["y"].value < 0.95
    assert found.bound is not None
    assert -500 < found.bound < -150
