"""Whether values lie in a node's support, and how they are kept: an array of a field comes in, its stored form goes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sgdsl.runtime.batch import NodeInfo
from sgdsl.runtime.densities_moments import MIXTURE
from sgdsl.train.dataset import Array, Field, Mask

Form = Literal["plain", "bytes", "bits"]
TOLERANCE = 1e-4
BETA_EDGE = 1e-4
LEVELS = "discretized_logistic"
OFF_LEVEL = 0.01  # of a level


@dataclass(frozen=True, slots=True)
class Stored:
    """`bytes`: uint8 that stands for value / 255; `bits`: uint8 that is the number; `plain`: float32 or int64."""

    values: Array
    form: Form


def support_name(info: NodeInfo) -> str:
    """The type as the file writes it, with its legal values."""
    first, last = info.first, info.first + info.classes - 1
    shape = str(list(info.shape)) if info.shape else ""
    match info.support:
        case "class":
            return f"class({info.sizes[0]}){shape}: whole numbers 0 … {last}"
        case "range":
            return f"count({first}, {last}){shape}: whole numbers {first} … {last}"
        case "binary":
            return f"binary{shape}: 0 or 1"
        case "unit" if info.family_p == LEVELS:
            return f"unit{shape}: grey levels 0, 1 / 255, …, 1, or bytes 0 … 255"
        case "unit":
            return f"unit{shape}: 0 … 1, or bytes 0 … 255"
        case "count":
            return f"count{shape}: whole numbers from 0"
        case "positive":
            return f"positive{shape}: above 0"
        case "simplex":
            return f"simplex({info.sizes[0]}){shape}: shares that sum to 1"
        case "angle":
            return f"angle{shape}: above −π, up to π"
        case "direction":
            return f"direction({info.sizes[0]}){shape}: a vector of length 1"
        case _:
            return f"real{shape}: finite numbers"


def markers(info: NodeInfo, values: Array, nan_only: bool = False) -> Mask:
    """Cells that mark a missing label: NaN, and −1 where the support has no negative numbers. [rows, *event]"""
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    if not nan_only and info.support in ("class", "binary", "count", "range", "unit") and info.first >= 0:
        missing = missing | (values == -1)
    return missing


def cells_of(info: NodeInfo, field: Field, values: Array) -> Mask:
    """Cells of a partial node that are there, [rows, *event]: all but NaN, −1 where the support has no negative numbers, and
    rows that the field's mask takes out."""
    there = ~markers(info, values, field.nan_only)
    if field.known is not None:
        there &= field.known.reshape(-1, *[1] * (values.ndim - 1))
    return there


def scale_of(info: NodeInfo, values: Array, forced: int = 0, told: str = "auto") -> int:
    """255 where the numbers are bytes of grey levels, else 1. Integers above 1 are; so are floats that are whole numbers and
    go above 1. `forced`: what was decided for the training data. A real node takes uint8 maps as grey levels.
    `told`: unit or bytes, for unit nodes and binary maps."""
    integer = values.dtype.kind in "ui"
    if info.support == "real":
        return 255 if values.dtype == np.uint8 and len(info.event) > 1 else 1
    if told != "auto" and (info.support == "unit" or (info.support == "binary" and len(info.event) > 1)):
        return 255 if told == "bytes" else 1
    if info.support not in ("unit", "binary") or values.dtype.kind == "b" or not values.size:
        return 1
    low, high = values.min(), values.max()
    if forced == 255 and integer:
        return 255
    whole = integer or bool((values == np.rint(values)).all())
    return 255 if low >= 0 and 1 < high <= 255 and whole else 1


def illegal(info: NodeInfo, values: Array, scale: int, grey: bool) -> Mask:
    """Cells outside the support, [rows, *event] (or [rows, *shape] for vectors). `grey`: a binary node takes grey levels."""
    match info.support:
        case "class" | "range":
            legal = (values >= info.first) & (values < info.first + info.classes) & _whole(values)
        case "binary" if not grey:
            legal = (values == 0) | (values == scale)
        case "unit" if info.family_p == LEVELS:
            levels = values * (255 / scale)
            legal = (levels >= 0) & (levels <= 255) & (np.abs(levels - np.rint(levels)) < OFF_LEVEL)
        case "unit" | "binary":
            legal = (values >= 0) & (values <= scale)
        case "count":
            legal = (values >= 0) & (values < 2**24) & _whole(values)
        case "positive":
            legal = np.isfinite(_single(values)) & (_single(values) > 0)
        case "simplex":
            legal = (values >= 0).all(-1) & (np.abs(values.sum(-1) - 1) <= TOLERANCE)
        case "angle":
            legal = (values > -np.pi - 1e-6) & (values <= np.pi + 1e-6)
        case "direction":
            legal = np.abs(np.linalg.norm(values, axis=-1) - 1) <= TOLERANCE
        case _:
            legal = np.isfinite(_single(values))
    return np.logical_not(legal)


def _whole(values: Array) -> Mask:
    with np.errstate(invalid="ignore"):
        return np.ones(values.shape, bool) if values.dtype.kind in "bui" else values == np.rint(values)


def _single(values: Array) -> Array:
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def store(info: NodeInfo, values: Array, scale: int) -> Stored:
    """Legal values in the smallest form that loses nothing: grey levels k / 255 as bytes, zeros and ones as bits. Of a
    Beta moved into [1e-4, 1 − 1e-4], of a Dirichlet to shares of at least 1e-4, since a density at an end is 0 or infinite;
    of a DiscretizedLogistic on the level; directions of length 1."""
    if info.integer:
        return Stored(values.astype(np.int64), "plain")
    if "beta" in (base(info.family_p), base(info.family_q)):
        inside = (values / scale).clip(BETA_EDGE, 1 - BETA_EDGE)
        return Stored(inside.astype(np.float32), "plain")
    if "dirichlet" in (base(info.family_p), base(info.family_q)):
        inside = values.clip(BETA_EDGE)
        return Stored((inside / inside.sum(-1, keepdims=True)).astype(np.float32), "plain")
    if info.support == "direction":
        length = np.linalg.norm(values, axis=-1, keepdims=True)
        return Stored((values / np.where(length > 0, length, 1)).astype(np.float32), "plain")  # 0: not known
    if info.family_p == LEVELS:
        return Stored(np.rint(values * (255 / scale)).astype(np.uint8), "bytes")
    if scale == 255:
        return Stored(values.astype(np.uint8), "bytes")
    if info.support in ("unit", "binary"):
        if values.dtype.kind in "bui" or bool(((values == 0) | (values == 1)).all()):
            return Stored(values.astype(np.uint8), "bits")
        levels = np.rint(values * 255).astype(np.uint8)
        if bool(((levels / values.dtype.type(255)).astype(values.dtype) == values).all()):
            return Stored(levels, "bytes")
    return Stored(values.astype(np.float32), "plain")


def base(family: str) -> str:
    """Of a mixture the family of its experts."""
    return family.removeprefix(MIXTURE)


def is_grey(stored: Stored) -> bool:
    """Whether some value lies between 0 and 1."""
    match stored.form:
        case "bits":
            return False
        case "bytes":
            return bool(((stored.values > 0) & (stored.values < 255)).any())
        case "plain":
            return bool(((stored.values > 0) & (stored.values < 1)).any())
