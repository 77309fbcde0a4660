"""What a finished run came to: an evaluation and what stands beside it, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sgdsl.train.diagnosis import Diagnosis
from sgdsl.train.evaluate import Evaluation
from sgdsl.train.measure import Score


@dataclass(frozen=True, slots=True)
class Result:
    """`baseline`: the same encoder trained on labels alone; `checked`: the error on `validation_labels` rows; `labels`: how
    many labels of each node the run was granted."""

    evaluation: Evaluation
    baseline: Mapping[str, Score]
    checked: Mapping[str, Score]
    labels: Mapping[str, int]
    seconds: float
    folder: Path
    pictures: tuple[Path, ...]
    diagnosis: Diagnosis

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for result.json and --json."""
        return {
            **self.evaluation.as_dict(),
            "baseline": {name: score.as_dict() for name, score in self.baseline.items()},
            "validation": {name: score.as_dict() for name, score in self.checked.items()},
            "labels": dict(self.labels),
            "seconds": self.seconds,
            "pictures": [str(path.relative_to(self.folder)) for path in self.pictures],
            "diagnosis": self.diagnosis.as_dict(),
        }
