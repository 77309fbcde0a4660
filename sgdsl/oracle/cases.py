"""What was compared: one case a number or gradient, expected and found, and the report that they make."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from torch import Tensor

EXACT = 1e-10  # of float64 sums; relative where the number is above 1


@dataclass(frozen=True, slots=True)
class Case:
    """`check`: tables (over all draws), as it is (at the draws it took), real draws; `known`: the labels of the row;
    `what`: value, gradient, …; of a gradient `expected` and `found` are its norms. `note`: what went wrong, if not the
    number."""

    check: str
    bound: str
    known: tuple[str, ...]
    samples: int
    what: str
    expected: float = math.nan
    found: float = math.nan
    error: float = math.inf
    tolerance: float = EXACT
    note: str = ""

    @property
    def right(self) -> bool:
        return self.error <= self.tolerance  # False for NaN

    @property
    def share(self) -> float:
        """How much of the tolerance is used up; infinite where nothing could be computed."""
        return self.error / self.tolerance if math.isfinite(self.error) else math.inf


@dataclass(frozen=True, slots=True)
class Report:
    """`differences` of the two plans; `replaced`: what the finite model has instead; `skipped`: what was too large."""

    model: str
    differences: tuple[str, ...]
    replaced: Mapping[str, str]
    biased: tuple[str, ...]
    cases: tuple[Case, ...]
    skipped: tuple[str, ...]

    @property
    def right(self) -> bool:
        return not self.differences and bool(self.cases) and all(case.right for case in self.cases)

    def worst(self) -> Iterator[tuple[Case, tuple[int, ...]]]:
        """The worst case of each check, bound, pattern and quantity, in order, with every S that was compared."""
        groups: dict[tuple[object, ...], list[Case]] = {}
        for case in self.cases:
            groups.setdefault((case.check, case.bound, case.known, case.what), []).append(case)
        for group in groups.values():
            yield max(group, key=lambda c: c.share), tuple(sorted({c.samples for c in group}))


def number(place: Case, expected: float, found: float) -> Case:
    """A comparison of two numbers. `place`: a case whose check, bound, labels, samples, what and tolerance it has."""
    error = abs(expected - found) / max(1.0, abs(expected))
    return replace(place, expected=expected, found=found, error=error)


def gradient(place: Case, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> Case:
    """A comparison of two gradients: the largest difference of a cell, relative to the largest cell of its parameter."""
    worst, where = 0.0, ""
    for name, wanted in expected.items():
        scale = max(1.0, float(wanted.abs().max()))
        error = float((wanted - found[name]).abs().max()) / scale
        if not error <= worst:
            worst, where = (error, name) if math.isfinite(error) else (math.inf, name)
    case = replace(place, expected=norm(expected.values()), found=norm(found.values()), error=worst)
    return case if case.right else replace(case, note=f"in {where}")


def failed(place: Case, error: Exception) -> Case:
    """The step could not be run, or asked for draws that it should not."""
    line = str(error).strip().split("\n")[0]
    return replace(place, error=math.inf, note=f"{type(error).__name__}: {line}"[:160])


def norm(gradients: Iterable[Tensor]) -> float:
    return math.sqrt(sum(float(g.square().sum()) for g in gradients))
