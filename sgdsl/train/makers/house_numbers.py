"""Cropped digits of house numbers, made: a number of rows and a seed come in, coloured pictures and digits go out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgdsl.train.dataset import Array, Index
from sgdsl.train.makers.glyphs import CELL, TALL, Glyphs
from sgdsl.train.makers.stream import Reals, Stream, stream_of

SIDE, FINE = 32, 48  # of a picture, and of the scene before it is blurred
CHUNK = 250
OFTEN = np.array(
    [4948.0, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659]
)  # 0 … 9 in the published training file
LONG = np.array([0.07, 0.36, 0.38, 0.17, 0.02])  # numbers of 1 … 5 digits
LATTICE = (3, 6, 12)  # sides of the grids of an uneven wall
WARM = np.array([1.0, 0.15, -0.9])  # from blue to brown, where colours of walls lie
REACH = 2  # neighbours on each side


@dataclass(frozen=True, slots=True)
class Numbers:
    """What stands on the walls. `digits` [n, 5] from two to the left of the labelled one to two to its right, −1: none;
    `font` [n]."""

    digits: Index
    font: Index

    @property
    def labels(self) -> Index:
        return self.digits[:, REACH]


def house_numbers(rows: int, seed: int, part: int, glyphs: Glyphs) -> tuple[NDArray[np.uint8], Index]:
    """[rows, 32, 32, 3] and the digits [rows]. `part`: another stream of the same seed."""
    chunks = list(_chunks(rows, seed, part, glyphs))
    return np.concatenate([x for x, _ in chunks]), np.concatenate([y for _, y in chunks])


def _chunks(rows: int, seed: int, part: int, glyphs: Glyphs) -> Iterator[tuple[NDArray[np.uint8], Index]]:
    for start in range(0, rows, CHUNK):
        random = stream_of(seed, 1 + part, start)
        numbers = _numbers(min(CHUNK, rows - start), random, len(glyphs.ink))
        ink, shadow = _placed(numbers, glyphs, random)
        yield _photographed(_painted(ink, shadow, random), random), numbers.labels


def _numbers(n: int, random: Stream, fonts: int) -> Numbers:
    length = 1 + random.chosen(LONG, n)
    place = random.whole(length)
    digits = random.chosen(OFTEN, n * 5).reshape(n, 5)
    at = place[:, None] + np.arange(-REACH, REACH + 1)
    there = (at >= 0) & (at < length[:, None])
    return Numbers(np.where(there, digits, -1), random.whole(np.full(n, fonts)))


# --- ink ------------------------------------------------------------------------------------------------------


def _placed(numbers: Numbers, glyphs: Glyphs, random: Stream) -> tuple[Reals, Reals]:
    """The ink of the digits and of their shadows, [n, 48, 48] each: rotated, sheared, stretched, cut a little off the middle."""
    n = len(numbers.font)
    u, v = _grid(numbers, glyphs, random)
    gap, slope = random.between(0.02, 0.3, n), random.between(-0.08, 0.08, n)
    wide = np.where(numbers.digits >= 0, glyphs.wide[numbers.font[:, None], numbers.digits], 0)
    fall = np.where(random.uniform(n) < 0.35, 1.0, 0.0) * random.between(0.03, 0.12, n)
    aside = fall * random.between(-1, 1, n)
    ink, shadow = np.zeros((2, n, FINE, FINE))
    for slot in range(2 * REACH + 1):
        rows = np.flatnonzero(numbers.digits[:, slot] >= 0)
        side, between = np.sign(slot - REACH), range(min(slot, REACH) + 1, max(slot, REACH))
        away = (wide[:, slot] + wide[:, REACH]) / 2 + gap + sum((wide[:, m] + gap for m in between), np.zeros(n))
        x = u - (side * away)[:, None, None]
        y = v - ((slot - REACH) * slope)[:, None, None]
        glyph = glyphs.ink[numbers.font[rows], numbers.digits[rows, slot]]
        ink[rows] = np.maximum(ink[rows], _sampled(glyph, x[rows], y[rows]))
        cast = rows[fall[rows] > 0]
        glyph = glyphs.ink[numbers.font[cast], numbers.digits[cast, slot]]
        moved = x[cast] - aside[cast, None, None], y[cast] - fall[cast, None, None]
        shadow[cast] = np.maximum(shadow[cast], _sampled(glyph, *moved))
    return ink, shadow


def _grid(numbers: Numbers, glyphs: Glyphs, random: Stream) -> tuple[Reals, Reals]:
    """Where the pixels are, in heights of the digit from its middle, [n, 48, 48] each."""
    n = len(numbers.font)
    wide = glyphs.wide[numbers.font, numbers.labels]
    side = np.maximum(1.0, wide) * random.between(0.95, 1.4, n)
    angle, shear, stretch = (s * random.normal(n) for s in (np.deg2rad(7), 0.12, 0.12))
    middle = 0.06 * random.normal(2, n)
    y, x = (np.mgrid[:FINE, :FINE] + 0.5) / FINE - 0.5
    across, down = x * np.exp(stretch)[:, None, None] + y * shear[:, None, None], np.broadcast_to(y, (n, FINE, FINE))
    cos, sin = (f(angle)[:, None, None] for f in (np.cos, np.sin))
    scale = side[:, None, None]
    return (
        scale * (cos * across - sin * down + middle[0][:, None, None]),
        scale * (sin * across + cos * down + middle[1][:, None, None]),
    )


def _sampled(glyph: Array, u: Reals, v: Reals) -> Reals:
    """Pictures [n, 64, 64] at places in heights from the middle, between their pixels; nothing outside."""
    x, y = (np.clip(CELL / 2 - 0.5 + TALL * w, 0, CELL - 1.001) for w in (u, v))
    left, top = x.astype(np.int64), y.astype(np.int64)
    a, b = x - left, y - top
    row = np.arange(len(glyph))[:, None, None]
    upper = glyph[row, top, left] * (1 - a) + glyph[row, top, left + 1] * a
    lower = glyph[row, top + 1, left] * (1 - a) + glyph[row, top + 1, left + 1] * a
    found: Reals = upper * (1 - b) + lower * b
    return found


# --- wall, light and camera -----------------------------------------------------------------------------------


def _painted(ink: Reals, shadow: Reals, random: Stream) -> Reals:
    """[n, 48, 48, 3]: ink on an uneven wall, lighter or darker than it by little or much, under a light from one side."""
    n = len(ink)
    base = np.clip(0.5 + 0.19 * random.normal(n), 0.1, 0.9)
    lighter = (base < 0.5) ^ (random.uniform(n) < 0.2)
    contrast = random.between(0.1, 0.5, n) * np.where(lighter, 1, -1)
    tint = 0.04 * random.normal(n, 1) * WARM + 0.015 * random.normal(n, 3) + np.array([0, 0, 0.02])
    own = np.where(
        random.uniform(n)[:, None] < 0.3, 0.08 * random.normal(n, 1) * WARM + 0.03 * random.normal(n, 3), 0.5 * tint
    )
    wall = (base[:, None] + tint)[:, None, None, :] + _uneven(n, random, 0.1)[..., None]
    wall = (wall - _boards(n, random)[..., None] + _edge(n, random)) * (
        1 - shadow[..., None] * random.between(0.2, 0.6, n, 1, 1, 1)
    )
    paint = (np.clip(base + contrast, 0.02, 0.98)[:, None] + own)[:, None, None, :] + _uneven(n, random, 0.08)[
        ..., None
    ]
    scene = wall * (1 - ink[..., None]) + paint * ink[..., None]
    angle = random.between(0, 2 * np.pi, n, 1, 1)
    y, x = np.mgrid[:FINE, :FINE] * 2.0 / FINE - 1
    ramp = np.cos(angle) * x + np.sin(angle) * y
    hard = np.where(random.uniform(n) < 0.07, random.between(0.15, 0.5, n), 0.0)[:, None, None]
    light = (1 + random.between(0, 0.22, n, 1, 1) * ramp) * (1 - hard * (ramp > random.between(-0.5, 0.5, n, 1, 1)))
    found: Reals = scene * light[..., None]
    return found


def _uneven(n: int, random: Stream, most: float) -> Reals:
    """[n, 48, 48] smooth unevenness of deviation up to `most`."""
    field = np.zeros((n, FINE, FINE))
    for side in LATTICE:
        weights = _between(side)
        field += weights @ random.normal(n, side, side) @ weights.T / side**0.7
    return field * random.between(0, most, n, 1, 1)


def _between(side: int) -> Reals:
    """[48, side] weights of linear interpolation."""
    place = (np.arange(FINE) + 0.5) * (side - 1) / FINE
    found: Reals = np.clip(1 - np.abs(place[:, None] - np.arange(side)), 0, None)
    return found


def _boards(n: int, random: Stream) -> Reals:
    """[n, 48, 48] dark joints between boards or bricks, on some walls."""
    step, depth = random.between(6, 22, n, 1), np.where(random.uniform(n) < 0.18, random.between(0.05, 0.22, n), 0.0)
    joint = (np.arange(FINE) + random.between(0, 22, n, 1)) % step < random.between(1, 2.2, n, 1)
    upright = (random.uniform(n) < 0.3)[:, None, None]
    return np.where(upright, joint[:, None, :], joint[:, :, None]) * depth[:, None, None]


def _edge(n: int, random: Stream) -> Reals:
    """[n, 48, 48, 3] another brightness beyond an edge: a plate, a frame, a pipe; on some walls."""
    there = np.where(random.uniform(n) < 0.18, 1.0, 0.0)
    shade = (there * random.between(-0.35, 0.35, n))[:, None] + there[:, None] * 0.04 * random.normal(n, 3)
    y, x = np.mgrid[:FINE, :FINE] / FINE
    ways = np.stack([x, 1 - x, y, 1 - y])[random.whole(np.full(n, 4))]
    beyond = ways < random.between(0.05, 0.32, n, 1, 1)
    found: Reals = beyond[..., None] * shade[:, None, None, :]
    return found


def _photographed(scene: Reals, random: Stream) -> NDArray[np.uint8]:
    """Blurred, some far more than others, made smaller, with noise of the camera, as bytes [n, 32, 32, 3]."""
    n = len(scene)
    sigma = np.clip(0.75 * np.exp(0.55 * random.normal(n)), 0.4, 3.5) * FINE / SIDE
    centre = (np.arange(SIDE) + 0.5) * FINE / SIDE - 0.5
    weights = np.exp(-0.5 * ((centre[:, None] - np.arange(FINE)) / sigma[:, None, None]) ** 2)
    weights /= weights.sum(2, keepdims=True)
    planes = np.moveaxis(scene, 3, 1)  # [n, 3, 48, 48]
    small = np.moveaxis(weights[:, None] @ planes @ weights[:, None].swapaxes(2, 3), 1, 3)
    noise = random.between(0.002, 0.018, n, 1, 1, 1) * random.normal(n, SIDE, SIDE, 1) + 0.004 * random.normal(
        *small.shape
    )
    return np.rint(255 * np.clip(small + noise, 0, 1)).astype(np.uint8)
