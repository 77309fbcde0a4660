"""Whole runs of small models: they learn, they repeat, and they see no label they were not given."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from tests.train.small import AFTER, TINY, Fit, clusters, images, records, same, weights_of

LINE = 'data npz(file = "none", labels = {})\n'  # for the settings; the rows are given to fit
UNSUPERVISED = TINY.replace("supervised y", "latent     y")


@pytest.mark.parametrize("text", [TINY, AFTER])
def test_a_run_learns_from_a_few_labels(fitted: Fit, text: str) -> None:
    """The whole loop: the bound rises, and 9 labels of 90 rows name the clusters of rows that were never seen (in one seed of
    ten two clusters stay one; seed 1 is none of them)."""
    make = clusters if text == TINY else images
    settings = ("train.epochs=60", "train.average=0.9", "train.batch=30", "train.lr=3e-2", "train.seed=1")
    run = fitted(make(), *settings, text=text + LINE.format(9), test=make(60, 1))
    first, last = records(run)[0], records(run)[-1]
    assert last["epoch"] == 60
    assert last["bound"]["unlabelled"] > first["bound"]["unlabelled"]
    assert run.evaluate(samples=4).scores["y"].value < 0.2


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(fitted: Fit) -> None:
    a, b, c = (weights_of(fitted(images(), text=AFTER, seed=s)) for s in (1, 1, 2))
    assert same(a, b)
    assert not same(a, c)


def test_a_run_leaves_the_callers_random_numbers_and_precision_alone(fitted: Fit) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fitted(clusters(), "train.precision=medium")
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_float32_matmul_precision() == "highest"


def test_labels_that_were_not_granted_have_no_influence(fitted: Fit) -> None:
    """Trap 3 and 4: the labels of all other rows may be anything; the weights are equal to the bit."""
    data = clusters()
    run = fitted(data, text=TINY + LINE.format(6))
    granted = run.prepared.split.granted["y"] if run.prepared else None
    assert granted is not None
    assert granted.sum() == 6
    scrambled = {**data, "y": np.where(granted, data["y"], 0), "y_known": granted}
    again = fitted(scrambled)
    assert same(weights_of(run), weights_of(again))


def test_all_labels_none_and_no_supervised_node_train(fitted: Fit) -> None:
    data = clusters()
    hidden = {**data, "y": np.full(90, -1)}
    everything, nothing, latent = fitted(data), fitted(hidden), fitted({"x": data["x"]}, text=UNSUPERVISED)
    assert records(everything)[-1]["bound"]["unlabelled"] is None
    for run in (nothing, latent):
        assert records(run)[-1]["bound"]["labelled"] is None
        assert records(run)[-1]["error"] == {}


@pytest.mark.parametrize(
    "settings",
    [
        ("train.clip=0.1",),
        ("train.optimizer=adamw", "train.weight_decay=0.1"),
        ("train.optimizer=sgd",),
        ("train.schedule=cosine",),
        ("objective.bound=iw",),
        ("objective.bound=clamped",),
        ("data.binarise=threshold",),
    ],
)
def test_every_setting_matters_and_stays_finite(fitted: Fit, settings: tuple[str, ...]) -> None:
    text = AFTER + LINE.format(30)
    plain, run = fitted(images(), text=text), fitted(images(), *settings, text=text)
    assert all(np.isfinite(w).all() for w in weights_of(run).values())
    assert not same(weights_of(plain), weights_of(run))


def test_clipping_bounds_the_step(fitted: Fit) -> None:
    """One step of plain SGD with lr 1 moves the weights by the clipped norm."""
    moved = {}
    for clip in ("none", "0.01"):
        start = fitted(clusters(), "train.lr=1e-12", "train.optimizer=sgd", "train.epochs=1", "train.batch=90")
        run = fitted(
            clusters(), "train.lr=1", "train.optimizer=sgd", "train.epochs=1", "train.batch=90", f"train.clip={clip}"
        )
        a, b = weights_of(start), weights_of(run)
        moved[clip] = sum(float(((a[k] - b[k]) ** 2).sum()) for k in a) ** 0.5
    assert moved["0.01"] == pytest.approx(0.01, rel=1e-3)
    assert moved["none"] > 0.05


def test_early_stopping_goes_by_the_bound_of_held_out_rows_without_labels(fitted: Fit) -> None:
    """With a learning rate that does harm, the run ends after `patience` epochs and keeps the best weights; permuting the
    labels of the held-out rows changes nothing."""
    setting = ("train.patience=2", "train.validation=0.3", "train.epochs=40", "train.lr=0.3")
    run = fitted(clusters(), *setting)
    found = [r["validation_bound"] for r in records(run)]
    assert len(found) < 40
    assert int(np.argmax(found)) == len(found) - 3
    assert run.prepared is not None
    held = run.prepared.split.validation
    assert len(held) == 27
    data = clusters()
    data["y"][held] = (data["y"][held] + 1) % 3
    assert same(weights_of(run), weights_of(fitted(data, *setting)))


def test_the_library_below_says_nothing_of_its_own(fitted: Fit) -> None:
    """What a run says is ours: Lightning tells of bf16 at level INFO unless its logger is told not to."""
    logging.getLogger("lightning_fabric").setLevel(logging.INFO)
    fitted(clusters(), "train.epochs=1", "train.precision=bf16")
    assert not logging.getLogger("lightning_fabric").isEnabledFor(logging.INFO)
