"""Faces under one lamp: a head and a direction of light come in, a grey picture goes out (Lambert, Phong, cast shadows)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sgdsl.train.makers.heads import PIXEL, Head
from sgdsl.train.makers.stream import Reals, Stream

COARSE = 2  # pixels of a step of the shadows
FAR = 46  # steps towards the lamp
SOFT = 0.012  # heights over which a shadow fades, and what is too low to cast one
FLAT = 1e-3  # the light's part in the picture below which it comes from the camera
FILL = (0.004, 0.015)  # light from the room
LEVEL = 225.0  # grey level of white skin that faces the lamp


def normals(head: Head) -> Reals:
    """[192, 168, 3] unit vectors out of the face: to the right of the picture, up, to the camera."""
    down, across = np.gradient(head.height, PIXEL)
    found = np.stack([-across, down, np.ones_like(down)], -1)
    unit: Reals = found / np.linalg.norm(found, axis=-1, keepdims=True)
    return unit


def photographed(head: Head, out: Reals, light: Reals, random: Stream) -> NDArray[np.uint8]:
    """[192, 168] bytes under a lamp in the direction `light`, a unit vector; `out`: the head's normals."""
    facing = np.clip(out @ light, 0, None)
    half = light + np.array([0, 0, 1])
    length = float(np.linalg.norm(half))
    gleam = np.clip(out @ (half / length), 0, None) ** head.polish * (facing > 0) if length > FLAT else 0.0
    shone = (head.albedo * facing + head.shine * gleam) * lit(head.height, light)
    room = head.albedo * float(random.between(*FILL, 1)[0])
    return _exposed(shone + room, random)


def by_room_light(head: Head, random: Stream) -> NDArray[np.uint8]:
    """[192, 168] bytes without the lamp."""
    return _exposed(head.albedo * float(random.between(0.06, 0.1, 1)[0]), random)


def _exposed(light: Reals, random: Stream) -> NDArray[np.uint8]:
    level = LEVEL * float(np.exp(0.05 * random.normal(1)[0]))
    found = light * level + 1.2 * random.normal(*light.shape) + 2
    return np.rint(np.clip(found, 0, 255)).astype(np.uint8)


def lit(height: Reals, light: Reals) -> Reals:
    """[192, 168], from 0 in the shadow that the face casts on itself to 1: from each pixel steps go towards the lamp, and one
    that ends below the face is in its shadow."""
    across = float(np.hypot(light[0], light[1]))
    if across < FLAT:
        return np.ones_like(height)
    low = height[::COARSE, ::COARSE]
    over: Reals = np.full(low.shape, -1.0)
    for step in range(1, FAR):
        right, down = round(light[0] / across * step), round(-light[1] / across * step)
        rise = float(light[2] / across * np.hypot(right, down)) * COARSE * PIXEL
        there = _moved(low, right, down)
        np.maximum(over, there - low - rise - SOFT, out=over)
    soft = _blurred(np.clip(over, -0.3, 0.3))
    shade = 1.0 / (1 + np.exp(np.clip(soft / SOFT, -50, 50) * 2))
    found: Reals = shade.repeat(COARSE, 0).repeat(COARSE, 1)
    return found


def _moved(low: Reals, right: int, down: int) -> Reals:
    """What stands so far to the right and below; nothing beyond the picture."""
    tall, wide = low.shape
    found = np.full(low.shape, -9.0)
    rows, columns = slice(max(0, -down), min(tall, tall - down)), slice(max(0, -right), min(wide, wide - right))
    source = low[rows.start + down : rows.stop + down, columns.start + right : columns.stop + right]
    found[rows, columns] = source
    return found


def _blurred(field: Reals) -> Reals:
    """Means of 3 × 3, edges repeated."""
    wide = np.pad(field, 1, mode="edge")
    columns = wide[:-2] + wide[1:-1] + wide[2:]
    found: Reals = (columns[:, :-2] + columns[:, 1:-1] + columns[:, 2:]) / 9
    return found
