"""Random numbers of what is made: seeds come in; numbers that are the same on every machine and version of NumPy go out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgdsl.train.dataset import Index

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stream:
    """Numbers from the raw stream of PCG64."""

    bits: np.random.PCG64

    def uniform(self, count: int) -> Reals:
        """[count], from 0 up to but not 1."""
        found: Reals = (self.bits.random_raw(count) >> np.uint64(11)) * np.float64(2.0**-53)
        return found

    def whole(self, below: Index) -> Index:
        """A whole number from 0 to below − 1 for each entry."""
        return (self.uniform(len(below)) * below).astype(np.int64)

    def between(self, low: float, high: float, *shape: int) -> Reals:
        """[*shape], evenly from low to high."""
        return low + (high - low) * self.uniform(math.prod(shape)).reshape(shape)

    def normal(self, *shape: int) -> Reals:
        """[*shape] standard normal numbers (Box and Muller, 1958)."""
        count = math.prod(shape)
        radius = np.sqrt(-2 * np.log1p(-self.uniform(count)))
        found: Reals = (radius * np.cos(2 * math.pi * self.uniform(count))).reshape(shape)
        return found

    def chosen(self, weights: Reals, count: int) -> Index:
        """[count] places of `weights`, each as often as its weight says."""
        return np.searchsorted(np.cumsum(weights) / weights.sum(), self.uniform(count), side="right").astype(np.int64)


def stream_of(*seeds: int) -> Stream:
    return Stream(np.random.PCG64(np.random.SeedSequence(seeds)))
