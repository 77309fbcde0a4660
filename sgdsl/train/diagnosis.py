"""What was found out about a finished training, as plain values: to a file and back, and as diagnostics with a place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sgdsl.base.diagnostics import Diagnostic
from sgdsl.driver import Program
from sgdsl.train import activity
from sgdsl.train.activity import Activity


@dataclass(frozen=True, slots=True)
class Finding:
    """A warning in words: what is so, the numbers that show it, and a way out. `node`: whose factor on `side` is meant, ""
    where it is none."""

    code: str
    message: str
    evidence: str
    hint: str
    node: str = ""
    side: str = "q"


@dataclass(frozen=True, slots=True)
class Weights:
    """The importance weights of one pattern of labels in the last epoch: the means over rows of the effective sample size,
    of the χ² divergence and of log q(labels | x). `samples`: S."""

    samples: int
    ess: float
    chi2: float
    log_q_labels: float

    def words(self) -> str:
        return f"{self.ess:.1f} of {self.samples}, χ² {self.chi2:.2f}"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`nodes`: what each inferred node carries; `weights` by pattern of labels; `warnings`."""

    nodes: Mapping[str, Activity]
    weights: Mapping[str, Weights]
    warnings: tuple[Finding, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values: diagnosis.json, and part of result.json."""
        return {
            "nodes": {name: found.as_dict() for name, found in self.nodes.items()},
            "weights": {name: asdict(found) for name, found in self.weights.items()},
            "warnings": [asdict(found) for found in self.warnings],
        }


def from_dict(saved: Mapping[str, Any]) -> Diagnosis:
    """What `as_dict` made. Raises KeyError or TypeError for anything else."""
    return Diagnosis(
        {name: activity.from_dict(found) for name, found in saved["nodes"].items()},
        {name: Weights(**found) for name, found in saved["weights"].items()},
        tuple(Finding(**found) for found in saved["warnings"]),
    )


def as_diagnostic(found: Finding, program: Program) -> Diagnostic:
    """A warning at the line of its factor."""
    factors = (*program.model.p, *program.model.q)
    span = next((f.span for f in factors if (f.side, f.node) == (found.side, found.node)), None)
    notes = (found.evidence,) if found.evidence else ()
    source = program.source if span else None
    return Diagnostic(found.code, found.message, span, "", (), notes, found.hint, "warning", source)
