"""Faults planted into emitted text or runtime functions: `sgdsl verify` finds every one, by numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sgdsl import driver
from sgdsl.oracle.cases import Case, Report
from sgdsl.oracle.verify import verify
from sgdsl.runtime import batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load

MODELS = Path(__file__).parent / "models"
Edit = Callable[[str], str]


def sub(pattern: str, new: str) -> Edit:
    """A replacement by lines."""
    return lambda text: re.sub(pattern, new, text, flags=re.M)


@dataclass(frozen=True, slots=True)
class Fault:
    """In a program of models; `edit` of the emitted text; `only`: what the report may find wrong, and nothing else."""

    model: str
    edit: Edit
    only: Callable[[Case], bool] = lambda case: True


ALIGNED = """
class Aligned:
    def __init__(self, draws): self.draws, self.first = draws, None
    def resample(self, *args):
        index = self.draws.resample(*args)
        self.first = index if self.first is None else self.first
        return self.first


class Networks"""
CONCRETE = """
def concrete(value, logits):
    value = (0.98 * value + 0.01).log()
    return ((logits - 1.7 * value).sum(-1) - logits.shape[-1] * (logits - 0.7 * value).logsumexp(-1))


class Networks"""


def doubly_alone(case: Case) -> bool:
    """What a wrong doubly reparameterised gradient, and nothing else, puts off."""
    return case.bound == "iw" and case.what in ("gradient", "mean gradient")


FAULTS = {
    "a KL term dropped": Fault("gauss_after", sub(r"^( +f_rows = .*) - log_q_z\b", r"\1")),
    "a prior dropped": Fault("nine_before", sub(r"^( +f_\w+ = .*)log_p_z \+ ", r"\1")),
    "the weights detached": Fault("gauss_after", sub(r"\bsnis\(f, log_w,", "weigh_detached(f, log_w,"),
                                  lambda c: c.what == "gradient"),
    "a label scored by a relaxed density": Fault(
        "relaxed", lambda t: sub(r"categorical_soft_log_prob\(y_soft, q_y_logits.*\)$", "concrete(y, q_y_logits)")(
            t.replace("\nclass Networks", CONCRETE, 1)), lambda c: c.check != "tables"),
    "a dummy that leaks": Fault("scored_label", sub(r"where_known\((known_y\w*), (label_y\w*), (.*)\)$", r"[\3, \2][1]")),
    "a dummy that leaks a little": Fault(
        "scored_label", sub(r"^( +)(bound = .*)$", r"\1\2\n\1bound = bound + 1e-6 * (batch.values['y'][0] + 1) * ~known_y"),
        lambda c: "y" not in c.known),
    "α with the wrong sign": Fault("gauss_after", sub(r"\b(snis\(.*), alpha\)", r"\1, -alpha)"), lambda c: bool(c.known)),
    "q instead of q · w for a node of A": Fault("nine_after_listed", sub(r"^( +share_z = ).*$", r"\1log_q_z.exp()"),
                                                lambda c: bool(c.known)),
    "the sum over classes outside the logarithm of iw": Fault(
        "nine_before", sub(r"^( +sum_y = )at_y.log_sum\(v_y\)", r"\1at_y.share(log_q_y.exp(), v_y - log_q_y)"),
        lambda c: c.bound == "iw"),
    "a score term weighted by its share": Fault(
        "draws_below", sub(r"^( +)(score = .*)at_c.down\((log_q_a)\)", r"\1\2at_c.down(log_q_c.exp() * \3)"),
        lambda c: c.what == "gradient"),
    "only rows with a partial pattern": Fault(
        "three_labels", sub(r"^( +)(bound = .*)$", r"\1\2\n\1bound = bound + 1e-6 * (known_y1 & ~known_y2 & known_y3)"),
        lambda c: c.known == ("y1", "y3") and c.what in ("value", "log p(x, labels)")),
    "only one cell of a gradient": Fault(
        "nine_after", sub(r"^( +)(log_p_x = .*)$", r"\1\2\n\1log_p_x = 1.001 * log_p_x - 0.001 * log_p_x.detach()"),
        lambda c: c.what == "gradient"),
    "aligned draws across groups": Fault(
        "two_groups",
        lambda t: t.replace("\nclass Networks", ALIGNED, 1).replace("samples, draws, (", "samples, Aligned(draws), ("),
        lambda c: c.known == ("y1", "y2") and c.bound == "snis"),
    "draws that are not recombined": Fault(
        "two_groups", sub(r'weights\.recombine\((\w+), "b"\)', r"\1"), lambda c: c.known == ("y1", "y2") and c.bound == "snis"),
    "the choice of samples not scored": Fault(
        "two_groups", sub(r"late_score = weights.log_picked", "late_score = 0 * weights.log_picked"),
        lambda c: c.known == ("y1", "y2") and c.what == "gradient"),
    "no gate, so that w̃ is not squared": Fault("doubly", sub(r"\bgate\((\w+)\)$", r"\1"), doubly_alone),
    "one draw without a gate": Fault("doubly", sub(r"\bgate\(z1\)$", "z1"), doubly_alone),
    "q's weights in log v, at parameters": Fault("doubly", sub(r"\bstopped\((.*)\)$", r"\1"), doubly_alone),
    "q's weights in log v, in a network": Fault("doubly", sub(r"\bstill\.encode_z2", "self.encode_z2"), doubly_alone),
    "r does not follow the draws that it reads": Fault("doubly", sub(r"(still\.encode_z2\(k_r)", r"\1.detach()"), doubly_alone),
    "a let of p with q's fixed weights": Fault("doubly", sub(r"k_v = self.let_k", "k_v = still.let_k"), doubly_alone),
    "later draws and the labels' weight behind a gate": Fault("doubly", sub(r"z2_v = gate", "z2_v = z2 = gate"), doubly_alone),
}  # fmt: skip


def weigh_detached(f: Tensor, log_w: Tensor, alpha: float) -> Tensor:
    """snis whose weights pass no gradient to f."""
    f, log_w = torch.broadcast_tensors(f, log_w)
    log_mean = log_w.logsumexp(0) - math.log(len(log_w))
    return (log_w.softmax(0).detach() * f).sum(0) + (1 + alpha) * log_mean


def verified(name: str) -> Report:
    return verify(driver.read(MODELS / f"{name}.sgm"))


@pytest.mark.parametrize("model", sorted({fault.model for fault in FAULTS.values()}))
def test_without_a_fault_all_agrees(model: str) -> None:
    """Protects from crying wolf: the programs that faults are planted in are right as they stand."""
    report = verified(model)
    assert report.right, [case for case in report.cases if not case.right]
    assert not report.skipped


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the proof itself: with the fault, and only there where it does harm, numbers are off."""
    fault, changed = FAULTS[name], []

    def faulty(text: str, module: str) -> Any:
        edited = fault.edit(text)
        changed.append(edited != text)
        found = load(edited, module)
        found.__dict__["weigh_detached"] = weigh_detached
        return found

    monkeypatch.setattr("sgdsl.oracle.program.load", faulty)
    report = verified(fault.model)
    assert any(changed), "nothing was planted"
    wrong = [case for case in report.cases if not case.right]
    assert not report.right
    assert any(math.isfinite(case.error) for case in wrong), "found only because something broke"
    assert all(fault.only(case) for case in wrong), [c for c in wrong if not fault.only(c)]


def test_a_known_row_that_is_enumerated_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects levels: labelled rows that get an entry for every class, as if they knew nothing."""
    right = batch.make_levels

    def wrong(model: Any, values: Mapping[str, Tensor], known: Mapping[str, Tensor], *rest: Any) -> Any:
        return right(model, values, {n: torch.zeros_like(mask) for n, mask in known.items()}, *rest)

    monkeypatch.setattr(batch, "make_levels", wrong)
    report = verified("nine_after_listed")
    off = [case for case in report.cases if not case.right]
    assert off
    assert all(case.known == ("y",) for case in off)
    assert any(math.isfinite(case.error) for case in off)


def test_draws_of_another_scale_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the runtime's draws: noise that is half again as wide shifts the mean bound by more than 4 standard errors,
    though every density, at the draws that it is given, is right."""
    right = Draws.normal
    monkeypatch.setattr(Draws, "normal", lambda self, size, loc, scale: right(self, size, loc, 1.5 * scale))
    report = verified("gauss_both")
    assert [case.check for case in report.cases if not case.right] == ["real draws"]
