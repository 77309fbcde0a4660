"""A tree of faces as Extended Yale B's is, made: a folder, a seed and a number of people come in, its files go out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sgdsl.train.formats.yaleb import PEOPLE, Picture
from sgdsl.train.makers.files import Bytes, write_pgm
from sgdsl.train.makers.heads import head
from sgdsl.train.makers.lit import by_room_light, normals, photographed
from sgdsl.train.makers.stream import Stream, stream_of

MIDDLE = ((0, 0), (0, 20), (0, 45), (0, 90), (0, -20), (0, -35))
ASIDE = (
    (5, 10), (5, -10), (10, 0), (10, -20), (15, 20), (20, 10), (20, -10), (20, -40), (25, 0), (35, 15), (35, 40), (35, 65),
    (35, -20), (50, 0), (50, -40), (60, 20), (60, -20), (70, 0), (70, 45), (70, -35), (85, 20), (85, -20), (95, 0), (110, 15),
    (110, 40), (110, 65), (110, -20), (120, 0), (130, 20),
)  # fmt: skip
LIGHTS = (*MIDDLE, *ASIDE, *((-a, e) for a, e in ASIDE))
"""Azimuth and elevation in degrees of the 64 lamps of the published tree."""
DAMAGED = {11: 4, 12: 5, 13: 4, 15: 1, 16: 2, 17: 1, 18: 1}  # 18 files of the published tree
AMBIENT = (480, 640)
CORNER = (140, 236)  # of the face in the uncropped picture
TAKES = 1  # stream of a person's pictures, beside that of the head


def write_faces(folder: Path, seed: int, people: int) -> int:
    """The first `people` of the 38, each under 64 lamps: yaleB01/yaleB01_P00A+005E+10.pgm …, the uncropped picture by the
    light of the room, and a list of the files. Damaged ones end in .bad. How many pictures can be read."""
    return sum(_write_person(folder, seed, person) for person in PEOPLE[:people])


def _write_person(folder: Path, seed: int, person: int) -> int:
    own = folder / f"yaleB{person:02d}"
    own.mkdir(parents=True, exist_ok=True)
    subject, random = head(person, seed), stream_of(seed, person, TAKES)
    out = normals(subject)
    damaged = _some(DAMAGED.get(person, 0), random)
    names = [f"yaleB{person:02d}_P00_Ambient.pgm"]
    write_pgm(own / names[0], _whole(by_room_light(subject, random), random))
    for i, (azimuth, elevation) in enumerate(LIGHTS):
        name = f"yaleB{person:02d}_P00A{azimuth:+04d}E{elevation:+03d}.pgm"
        light = np.array(Picture(own / name, 0, azimuth, elevation).light)
        image = photographed(subject, out, light, random)
        write_pgm(own / (f"{name}.bad" if i in damaged else name), _torn(image) if i in damaged else image)
        names.append(name)
    (own / f"yaleB{person:02d}_P00.info").write_text("\n".join(names) + "\n", encoding="ascii")
    return len(LIGHTS) - len(damaged)


def _some(count: int, random: Stream) -> set[int]:
    """Which lamps' pictures are damaged."""
    return set(np.argsort(random.uniform(len(LIGHTS)), kind="stable")[:count].tolist())


def _torn(image: Bytes) -> Bytes:
    """A picture whose lower part moved aside, as a lost block leaves it."""
    found = image.copy()
    cut = len(image) // 3
    found[cut:] = np.roll(found[cut:], image.shape[1] // 2, axis=1)
    return found


def _whole(face: Bytes, random: Stream) -> Bytes:
    """The face in a dark room."""
    room = np.clip(3 + random.normal(*AMBIENT), 0, 255).astype(np.uint8)
    room[CORNER[0] :, CORNER[1] :][: face.shape[0], : face.shape[1]] = face
    return room
