"""Canvases with several digits: digits, counts and a seed come in, canvases with what is on them and where go out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgdsl.train.dataset import Array, Index
from sgdsl.train.makers.stream import Stream, stream_of

SIDE = 50  # of a canvas
DIGIT = 28  # side of a source digit
MOST = 3  # digits on a canvas
SMALLEST = 17  # side of a pasted digit, up to DIGIT: scales from 0.6 to 1
OVERLAP = 0.05  # the most of a digit's ink that may lie on ink
TRIES = 60  # places of one digit until its canvas is begun again
UNIT = 256  # interpolation weights are whole numbers of 1/256


@dataclass(frozen=True, slots=True)
class Canvases:
    """`x` [n, 1, 50, 50] bytes; `k` [n] digits, 1 … 3; `y` [n, 3] their classes, −1 where there is none; `at` [n, 3, 3] size
    and place (a, u, v), NaN where there is none; `source` [n, 3] the pasted rows (−1). Digits stand from left to right, by the
    middle of their squares. The side of a digit's square is 28 · exp(a / 4) pixels, its middle (tanh(u / 2), tanh(v / 2)),
    where −1 is the left or upper border and 1 the other."""

    x: NDArray[np.uint8]
    k: Index
    y: Index
    at: NDArray[np.float32]
    source: Index


def compose(images: Array, labels: Array, pool: Index, n: int, seed: int, stream: int) -> Canvases:
    """`n` canvases of the digits images[pool], bytes [·, 28, 28]. As many canvases of each count as of any other, to within
    one; each digit's class is drawn evenly, then one of its images, its size and its place. Whole numbers throughout: the same
    bytes everywhere."""
    random = stream_of(seed, stream)
    k = (np.arange(n) % MOST + 1)[np.argsort(random.bits.random_raw(n), kind="stable")]
    classes = [pool[labels[pool] == c] for c in range(10)]
    x = np.zeros((n, SIDE, SIDE), np.uint8)
    source, side, corner = (np.full((n, MOST, *s), -1, np.int64) for s in ((), (), (2,)))
    pending = np.arange(n)
    while len(pending):
        made = _attempt(images, classes, k[pending], random)
        done = made.done
        rows = pending[done]
        x[rows], source[rows], side[rows], corner[rows] = (
            made.canvas[done, :SIDE, :SIDE], made.source[done], made.side[done], made.corner[done]
        )  # fmt: skip
        pending = pending[~done]
    return _described(x, k.astype(np.int64), labels, source, side, corner)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """`canvas` [n, 78, 78], with a margin to the right and below that stays empty; `done` [n]: every digit found a place."""

    canvas: NDArray[np.uint8]
    source: Index
    side: Index
    corner: Index
    done: NDArray[np.bool_]


def _attempt(images: Array, classes: list[Index], k: Index, random: Stream) -> _Attempt:
    n = len(k)
    canvas = np.zeros((n, SIDE + DIGIT, SIDE + DIGIT), np.uint8)
    source, side, corner = (np.full((n, MOST, *s), -1, np.int64) for s in ((), (), (2,)))
    done = np.ones(n, bool)
    for slot in range(MOST):
        rows = np.flatnonzero(done & (k > slot))
        chosen, sides = _digits(classes, len(rows), random)
        source[rows, slot], side[rows, slot] = chosen, sides
        left = _place(canvas, rows, _scaled(images[chosen], sides), sides, corner[:, slot], random)
        done[left] = False
    return _Attempt(canvas, source, side, corner, done)


def _digits(classes: list[Index], count: int, random: Stream) -> tuple[Index, Index]:
    """Rows of the source and sides in pixels, [count] each."""
    digit = random.whole(np.full(count, len(classes)))
    within = random.whole(np.array([len(c) for c in classes])[digit])
    chosen = np.array([classes[d][i] for d, i in zip(digit, within, strict=True)], np.int64)
    return chosen, SMALLEST + random.whole(np.full(count, DIGIT - SMALLEST + 1))


def _place(
    canvas: NDArray[np.uint8], rows: Index, ink: Array, sides: Index, corner: Index, random: Stream
) -> Index:  # fmt: skip
    """Pastes a digit on each of `rows` where it covers little; the rows where no place was found."""
    left, area = np.arange(len(rows)), ink.sum((1, 2), dtype=np.int64)
    step = np.arange(DIGIT)
    for _ in range(TRIES):
        if not len(left):
            break
        free = SIDE - sides[left] + 1
        top, start = random.whole(free), random.whole(free)
        where = (rows[left, None, None], (top[:, None] + step)[:, :, None], (start[:, None] + step)[:, None, :])
        under = canvas[where]
        over = np.minimum(under, ink[left]).sum((1, 2), dtype=np.int64)
        good = over <= OVERLAP * area[left]
        put = tuple(np.broadcast_to(w, under.shape)[good] for w in where)
        canvas[put] = np.minimum(255, under[good].astype(np.int64) + ink[left[good]])
        corner[rows[left[good]]] = np.stack([top, start], 1)[good]
        left = left[~good]
    return rows[left]


def _scaled(digits: Array, sides: Index) -> NDArray[np.uint8]:
    """Digits [n, 28, 28] shrunk to squares of `sides` in the upper left corner, zero elsewhere. Products and sums are whole
    numbers below 2²⁴, so that single precision is exact in any order."""
    ink = np.zeros((len(digits), DIGIT, DIGIT), np.uint8)
    for side in np.unique(sides):
        rows = np.flatnonzero(sides == side)
        weights = _weights(int(side))
        shrunk = (weights @ digits[rows].astype(np.float32)) @ weights.T
        ink[rows, :side, :side] = (shrunk.astype(np.int64) + UNIT**2 // 2) // UNIT**2
    return ink


def _weights(side: int) -> NDArray[np.float32]:
    """[side, 28] triangles as wide as a pixel of the result, each row summing to 256 exactly."""
    scale = DIGIT / side
    centre = (np.arange(side)[:, None] + 0.5) * scale - 0.5
    exact = np.clip(1 - np.abs(np.arange(DIGIT) - centre) / scale, 0, None)
    exact *= UNIT / exact.sum(1, keepdims=True)
    whole = np.floor(exact)
    for row, part in zip(whole, exact, strict=True):
        row[np.argsort(row - part, kind="stable")[: int(UNIT - row.sum())]] += 1
    return whole.astype(np.float32)


def _described(x: Array, k: Index, labels: Array, source: Index, side: Index, corner: Index) -> Canvases:
    """What is on each canvas, from left to right."""
    there = np.arange(MOST) < k[:, None]
    middle = 2 * corner + side[..., None]  # [n, 3, (vertical, horizontal)], in half pixels
    order = np.argsort(np.where(there, middle[..., 1] * 1000 + middle[..., 0], 2**31), axis=1, kind="stable")
    size, place = (
        np.where(there, side / DIGIT, np.nan),
        np.where(there[..., None], middle[..., ::-1] / SIDE - 1, np.nan),
    )
    at = np.concatenate([4 * np.log(size)[..., None], 2 * np.arctanh(place)], -1)
    y = np.where(there, labels.astype(np.int64)[source], -1)
    found = (np.take_along_axis(a, order, 1) for a in (y, np.where(there, source, -1)))
    y, source = found
    return Canvases(x[:, None], k, y, np.take_along_axis(at, order[..., None], 1).astype(np.float32), source)
