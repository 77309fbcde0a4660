"""What the grids hold: the decoder's own means at the places that the sliders name."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import sgdsl
from sgdsl.report.decode import Decoder, Held
from sgdsl.report.frames import Numbers
from sgdsl.report.grids import GRID_BYTES, grids, orders_of
from sgdsl.report.sprites import LEVELS, Sprite, sprite
from sgdsl.train.run import Run
from sgdsl.train.sheets import as_pictures
from tests.train.small import Fit, clusters

GREYS = """model greys
observed x : unit[1, 6, 5]
latent z : real[2]
p(z) = Normal
p(x | z) = {}(mlp(4))
q(z | x) = Normal(mlp(4))
"""


def by_hand(run: Run, y: int, z: list[float]) -> np.ndarray:
    """σ(logits of p(x | y, z)) of the emitted model; z is a standard Normal here."""
    values = {"y": torch.tensor([[y]]), "z": torch.tensor([[z]])}
    with torch.no_grad():
        (logits,) = run.module.parameters_p("x", values)
    assert isinstance(logits, torch.Tensor)
    return logits.sigmoid()[0, 0].numpy()


def pixels(made: Sprite) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(made.uri.partition(",")[2]))))


def test_each_place_of_a_sprite_is_the_mean_there(pictures: Path) -> None:
    """Classes downwards, then the second cell; the first cell to the right; dark ink on white."""
    run = Run.load(pictures)
    decoder = Decoder(run.module, {}, ("x",))
    first = grids(decoder, orders_of(decoder))[0]
    made = first.frames["x"]
    assert isinstance(made, Sprite)
    assert (first.label, first.node, first.classes, len(first.cells)) == ("y", "z", ("0", "1", "2"), 2)
    assert first.count == 3 * 9 * 9
    sheet = pixels(made).astype(float)
    steps = len(first.offsets)
    assert sheet.shape == (3 * steps * 6, steps * 5)
    for y, j, i in ((0, 0, 0), (1, 4, 4), (2, 1, 7), (2, 8, 3)):
        z = [0.0, 0.0, 0.0]
        z[first.cells[0]], z[first.cells[1]] = first.offsets[i], first.offsets[j]
        tile = sheet[(y * steps + j) * 6 :][:6, i * 5 :][:, :5]
        np.testing.assert_allclose(tile, 255 * (1 - by_hand(run, y, z)[0]), atol=255 / LEVELS)


def test_numbers_are_the_means_to_16_bits(fitted: Fit, tmp_path: Path) -> None:
    """A node that is no picture."""
    run = fitted(clusters(), out=tmp_path / "run")
    decoder = Decoder(run.module, {}, ("x",))
    (first,) = grids(decoder, orders_of(decoder))
    made = first.frames["x"]
    assert isinstance(made, Numbers)
    held = np.frombuffer(base64.b64decode(made.text), "<u2").reshape(3, 9, 9, 8)
    values = made.low + (made.high - made.low) * held / 65_535
    z = [0.0, 0.0]
    z[first.cells[0]], z[first.cells[1]] = first.offsets[6], first.offsets[1]
    np.testing.assert_allclose(values[2, 1, 6], by_hand(run, 2, z), atol=2e-5)


def test_cells_are_ordered_by_what_they_do(fitted: Fit, tmp_path: Path) -> None:
    """The decoder of one cell is cut off: that cell comes last."""
    run = fitted(clusters(), out=tmp_path / "run")
    weights = {n: w for n, w in run.module.named_parameters() if n.startswith("p_x") and w.dim() == 2}
    entry = next(w for w in weights.values() if w.shape[1] == 5)  # three classes and two cells
    with torch.no_grad():
        entry[:, 3] = 0
    decoder = Decoder(run.module, {}, ("x",))
    assert orders_of(decoder)["y"][0].cells == (1, 0)


def test_a_log_normal_moves_in_logarithms(fitted: Fit, tmp_path: Path) -> None:
    """Its values stay above 0, and the middle is its median."""
    text = """model positive
observed x : real[2]
latent z : positive
p(z) = LogNormal(1, 0.5)
p(x | z) = Normal(loc = linear(2)(z))
q(z | x) = LogNormal(mlp(4))
train { epochs = 1, batch = 30 }
"""
    run = fitted({"x": np.random.default_rng(0).normal(size=(60, 2))}, text=text, out=tmp_path / "run")
    decoder = Decoder(run.module, {}, ("x",))
    mean, deviation = decoder.centre(Held(), "z")
    np.testing.assert_allclose([float(mean), float(deviation)], [1.0, 0.5], rtol=1e-4)
    moved = decoder.moved(Held(), "z", torch.tensor([[0.0]]))["x"][0]
    with torch.no_grad():
        loc, _ = run.module.parameters_p("x", {"z": torch.tensor([[np.e]], dtype=torch.float32)})
    np.testing.assert_allclose(moved, torch.as_tensor(loc)[0, 0].numpy(), rtol=1e-4)


def test_large_pictures_get_fewer_steps(fitted: Fit, tmp_path: Path) -> None:
    """Noise of 3 × 48 × 48 does not compress: the grid stays within its budget, by a margin for its first guess."""
    text = """model large
observed x : unit[3, 48, 48]
supervised y : class(4)
latent z : real[2]
p(y) = Categorical
p(z) = Normal
p(x | y, z) = Normal(loc = mlp(4), scale = 1)
q(y | x) = Categorical(mlp(4))
q(z | x, y) = Normal(mlp(4))
train { epochs = 1, batch = 10 }
"""
    data = {"x": np.random.default_rng(0).random((20, 3, 48, 48)), "y": np.arange(20) % 4}
    run = fitted(data, text=text, out=tmp_path / "run")
    decoder = Decoder(run.module, {}, ("x",))
    (first,) = grids(decoder, orders_of(decoder))
    assert len(first.offsets) < 9
    assert first.bytes < 1.3 * GRID_BYTES


def test_pictures_over_112_pixels_are_averaged() -> None:
    """Blocks of whole pixels: 230 × 120 becomes 76 × 40."""
    images = np.random.default_rng(0).random((2, 230, 120))
    made = sprite(images, 2)
    assert (made.height, made.width) == (76, 40)
    tile = pixels(made)[:76, :40]
    np.testing.assert_allclose(tile[3, 5] / 255, 1 - images[0, 9:12, 15:18].mean(), atol=1 / LEVELS)


def test_grey_levels_of_no_ink_are_drawn_as_they_are() -> None:
    """A face under a Laplace must not come out as its negative; digits under a Bernoulli are dark ink on white."""
    images = np.random.default_rng(0).random((2, 1, 6, 5))
    made = {
        family: pixels(sprite(as_pictures(sgdsl.compile(GREYS.format(family)).build().NODES["x"], images), 2))[:, :5]
        for family in ("Laplace", "Bernoulli", "ContinuousBernoulli")
    }
    np.testing.assert_allclose(made["Laplace"] / 255, images[0, 0], atol=1 / LEVELS)
    for family in ("Bernoulli", "ContinuousBernoulli"):
        np.testing.assert_allclose(made[family] / 255, 1 - images[0, 0], atol=1 / LEVELS)
