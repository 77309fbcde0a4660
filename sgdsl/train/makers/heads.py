"""Faces of people who do not exist: a number and a seed come in; heights of a face and how light its skin is go out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sgdsl.train.formats.yaleb import HEIGHT, WIDTH
from sgdsl.train.makers.stream import Reals, Stream, stream_of

Range = tuple[float, float]
LEFT, TOP = 0.95, 1.1  # half the width of a picture, and half its height, in half widths of a face
PIXEL = 2 * LEFT / WIDTH


@dataclass(frozen=True, slots=True)
class Head:
    """`height` [192, 168] towards the camera, in half widths of a face; `albedo` [192, 168], 0 … 1; `shine`,
    `polish`: of its skin, as Phong's."""

    height: Reals
    albedo: Reals
    shine: float
    polish: float


@dataclass(frozen=True, slots=True)
class Mound:
    """One feature of every face: its middle, deviations and size, each evenly from a range. `both`: mirrored too."""

    x: Range
    y: Range
    wide: Range
    tall: Range
    size: Range
    both: bool = True


SHAPE = (
    Mound((0, 0), (-1.0, -0.88), (0.16, 0.28), (0.11, 0.16), (0.05, 0.15), both=False),  # chin
    Mound((0.55, 0.7), (-0.75, -0.5), (0.2, 0.3), (0.2, 0.3), (-0.12, 0.08)),  # jaw
    Mound((0.46, 0.62), (-0.1, 0.08), (0.16, 0.24), (0.13, 0.2), (0.03, 0.12)),  # cheek bones
    Mound((0.42, 0.55), (-0.5, -0.35), (0.16, 0.24), (0.18, 0.28), (-0.08, 0.04)),  # cheeks
    Mound((0.28, 0.4), (0.5, 0.58), (0.17, 0.24), (0.05, 0.09), (0.03, 0.11)),  # brows
    Mound((0.0, 0.3), (0.8, 1.0), (0.25, 0.4), (0.15, 0.25), (-0.04, 0.1)),  # forehead
    Mound((0, 0), (-0.52, -0.42), (0.28, 0.38), (0.17, 0.23), (0.05, 0.1), both=False),  # muzzle
    Mound((0, 0), (-0.2, -0.16), (0.02, 0.035), (0.06, 0.08), (-0.04, -0.015), both=False),  # groove below the nose
)
SPECKS = 5  # moles, at most


def head(person: int, seed: int) -> Head:
    """Person 1, 2, …: all that tells them apart is drawn from the seed and the number."""
    random = stream_of(seed, person)
    x, y = np.meshgrid((np.arange(WIDTH) + 0.5) * PIXEL - LEFT, TOP - (np.arange(HEIGHT) + 0.5) * PIXEL)
    face = _Drawing(x, y, random)
    height, form = face.form()
    albedo = np.clip(face.skin(form) * (1 - 0.9 * _step((form.out - 1.02) / 0.02)), 0.01, 1)
    return Head(height, albedo, face.one((0.02, 0.12)), face.one((8, 20)))


@dataclass(frozen=True, slots=True)
class _Form:
    """Where the features of one face are. `out` [192, 168]: 0 in the middle, 1 at the edge; `nose`: its tip and width."""

    out: Reals
    eyes: tuple[float, float]
    mouth: float
    nose: tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Drawing:
    """A picture's coordinates, x to its right and y up, and the numbers of one person."""

    x: Reals
    y: Reals
    random: Stream

    def one(self, bounds: Range) -> float:
        return float(self.random.between(*bounds, 1)[0])

    def bump(self, at: tuple[float, float], wide: float, tall: float, both: bool = True) -> Reals:
        """1 in the middle; the mirror image too."""
        found = np.exp(-0.5 * (((self.x - at[0]) / wide) ** 2 + ((self.y - at[1]) / tall) ** 2))
        return (
            found + np.exp(-0.5 * (((self.x + at[0]) / wide) ** 2 + ((self.y - at[1]) / tall) ** 2)) if both else found
        )

    def smooth(self, side: int) -> Reals:
        """Unevenness between side × side random numbers, by cosines."""
        waves = self.random.normal(side, side) / side
        down, across = (np.cos(np.pi * np.outer(np.arange(side), (np.arange(n) + 0.5) / n)) for n in self.x.shape)
        found: Reals = down.T @ waves @ across
        return found

    def form(self) -> tuple[Reals, _Form]:
        """The height, and where what is on it."""
        one = self.one
        power = one((2.0, 2.7))
        out = np.abs(self.x / one((0.93, 1.06))) ** power + np.abs((self.y + 0.02) / one((1.2, 1.36))) ** power
        height = one((0.85, 1.05)) * np.sqrt(np.clip(1 - out, 0, None) + 1e-3)
        for m in SHAPE:
            at, wide, tall, size = (one(m.x), one(m.y)), one(m.wide), one(m.tall), one(m.size)
            height += size * self.bump(at, wide, tall, m.both)
        eyes = (one((0.36, 0.45)), one((0.28, 0.38)))
        height -= one((0.1, 0.18)) * self.bump(eyes, 0.17, 0.12) - one((0.06, 0.1)) * self.bump(eyes, 0.1, 0.065)
        tip, wing = one((-0.18, -0.06)), one((0.08, 0.14))
        height += self.nose(eyes[1] + 0.15, tip, wing)
        mouth = one((-0.56, -0.46))
        broad = one((0.2, 0.3))
        height += one((0.02, 0.06)) * self.bump((0, mouth + 0.055), broad, 0.035, both=False)
        height += one((0.03, 0.07)) * self.bump((0, mouth - 0.06), broad * 0.85, 0.045, both=False)
        height -= one((0.03, 0.05)) * self.bump((0, mouth), broad, 0.015, both=False)
        return height + 0.012 * self.smooth(6) + 0.004 * self.smooth(16), _Form(out, eyes, mouth, (tip, wing))

    def nose(self, root: float, tip: float, wing: float) -> Reals:
        """A ridge that rises and widens from between the eyes down to the tip, with a wing on each side."""
        along = np.clip((root - self.y) / (root - tip), 0, 1.2)
        under = _step((self.y - tip + 0.05) / 0.025)
        broad = self.one((0.05, 0.08)) * (1 - along) + wing * along
        ridge = self.one((0.22, 0.4)) * along ** self.one((1.1, 1.9)) * np.exp(-0.5 * (self.x / broad) ** 2) * under
        wings = self.one((0.05, 0.11)) * self.bump((wing * 1.25, tip), 0.055, 0.055)
        found: Reals = ridge + wings
        return found

    def skin(self, form: _Form) -> Reals:
        """How much of the light each pixel gives back."""
        one, eyes, mouth, nose = self.one, form.eyes, form.mouth, form.nose
        skin = one((0.35, 0.85)) * (1 + 0.05 * self.smooth(5) + 0.05 * self.smooth(24))
        broad = one((0.2, 0.28))
        skin *= 1 - one((0.1, 0.4)) * np.clip(self.bump((0, mouth), broad, 0.06, both=False), 0, 1)
        skin = self._eyes(skin, eyes)
        skin *= 1 - 0.55 * np.clip(self.bump((nose[1] * 0.75, nose[0] - 0.035), 0.035, 0.02), 0, 1)
        skin *= self._hair(eyes[1], mouth)
        for _ in range(int(one((0, SPECKS + 1)))):
            skin *= 1 - one((0.3, 0.7)) * self.bump((one((-0.6, 0.6)), one((-0.7, 0.8))), 0.015, 0.015, both=False)
        return skin

    def _eyes(self, skin: Reals, eyes: tuple[float, float]) -> Reals:
        one = self.one
        aside, away = np.abs(self.x) - eyes[0], self.y - eyes[1]
        lids = np.hypot(aside / one((0.13, 0.17)), away / one((0.05, 0.08)))
        open_ = _step((1 - lids) / 0.12)
        iris = _step((one((0.05, 0.065)) - np.hypot(aside, away)) / 0.006)
        white = one((0.6, 0.85)) * (1 - 0.85 * iris)
        lash = np.exp(-0.5 * ((lids - 1.05) / 0.2) ** 2) * (self.y > eyes[1] - 0.02)
        brow = eyes[1] + one((0.15, 0.24)) + one((-0.25, 0.1)) * aside - one((0.0, 0.8)) * aside**2
        thick, long = one((0.025, 0.055)), one((0.17, 0.24))
        hairs = np.exp(-0.5 * ((self.y - brow) / thick) ** 2) * _step((long - np.abs(aside)) / 0.025)
        return (skin * (1 - open_) + white * open_) * (1 - 0.4 * lash) * (1 - one((0.4, 0.85)) * hairs)

    def _hair(self, eyes: float, mouth: float) -> Reals:
        """A factor of the skin: hair at the top and the sides; a beard or a moustache on some."""
        one = self.one
        bent = one((0.0, 0.45)) * self.x**2 + one((-0.12, 0.12)) * self.x + 0.03 * np.sin(9 * self.x + one((0, 6)))
        top = _step((self.y + bent - one((0.85, 1.25))) / 0.03)
        sides = _step((np.abs(self.x) - one((0.84, 1.1))) / 0.03) * _step((self.y - eyes + 0.4) / 0.06)
        hair = np.clip(top + sides, 0, 1) * (1 - one((0.1, 0.6))) * (1 + 0.25 * self.smooth(40))
        beard = self.bump((0, -0.85), 0.5, 0.25, both=False) + self.bump((0, mouth), 0.5, 0.25, both=False)
        grown = max(0.0, one((-0.7, 0.5))) * np.clip(beard, 0, 1) * (1 - self.bump((0, mouth), 0.22, 0.06, both=False))
        lip = max(0.0, one((-1.4, 0.8))) * self.bump((0, mouth + 0.14), 0.2, 0.04, both=False)
        found: Reals = (1 - np.clip(hair, 0, 0.95)) * (1 - grown) * (1 - lip)
        return found


def _step(x: Reals) -> Reals:
    """From 0 to 1 around 0."""
    return 1 / (1 + np.exp(-np.clip(x, -50, 50)))
