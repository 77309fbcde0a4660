"""Times steps in turns: contestants come in, milliseconds of process CPU time a step and round go out."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SLOT = 0.4  # seconds of CPU time that a contestant has in a round, at least


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of CPU time a step, by round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    def ratios(self, other: Times) -> tuple[float, ...]:
        """Of this to the other, a round each."""
        return tuple(a / b for a, b in zip(self.rounds, other.rounds, strict=True))


def milliseconds(step: Callable[[], None], steps: int) -> float:
    """CPU time of the process a step; the steps run on one thread and wait for their results."""
    start = time.process_time()
    for _ in range(steps):
        step()
    return (time.process_time() - start) / steps * 1000


def run(contestants: Mapping[str, Callable[[], None]], rounds: int, steps: int | None) -> dict[str, Times]:
    """A round runs every contestant after another, forwards and backwards in turn; one round of warming up is not counted.
    `steps`: of each in a round, None: what fills the slot."""
    count = {}
    for name, step in contestants.items():
        milliseconds(step, 1)
        found = milliseconds(step, 1 if steps else 2)
        count[name] = steps or max(2, round(SLOT * 1000 / max(found, 1e-3)))
    names, times = list(contestants), {name: [] for name in contestants}
    for i in range(rounds):
        for name in names if i % 2 == 0 else reversed(names):
            times[name].append(milliseconds(contestants[name], count[name]))
    return {name: Times(tuple(t)) for name, t in times.items()}
