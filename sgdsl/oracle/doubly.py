"""The doubly reparameterised gradient: one row at its draws comes in, the objective by hand goes out; and its mean over many
draws, held against that of the plain gradient."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from sgdsl.oracle import exact
from sgdsl.oracle.cases import Case, failed
from sgdsl.oracle.noise import Drawn
from sgdsl.oracle.outcomes import gradients
from sgdsl.oracle.placed import Placed
from sgdsl.oracle.program import Compiled, batch_of, example, wave
from sgdsl.runtime.draws import Draws

BATCHES = 40
ROWS = 500  # of a batch, at most
WORK = 1e10  # operations that all batches may cost
ERRORS = 4.0  # standard errors
SEED = 11


class Held(Placed):
    """The same row, its draws as numbers that no weight reaches."""

    def __init__(
        self,
        compiled: Compiled,
        row: Mapping[str, Tensor],
        known: tuple[str, ...],
        drawn: Mapping[str, Drawn],
        samples: int,
    ) -> None:
        self.numbers: dict[str, Tensor] = {}
        super().__init__(compiled, row, known, drawn, samples)

    def _again(self, name: str, at: Mapping[str, Tensor]) -> Tensor:
        self.numbers[name] = super()._again(name, at).detach().requires_grad_()
        return self.numbers[name]


@dataclass(frozen=True, slots=True)
class DoublyRow:
    """One row at its draws z_s = g(noise_s, φ). `held`: the same row with z_s as numbers; `sums`: [S] each."""

    at: Placed
    held: Held
    sums: exact.Sample

    def bound(self, bound: str, alpha: float) -> Tensor:
        """From its definition in objective.md, section 1."""
        return exact.estimate(self.sums, bound, alpha)

    def objective(self, bound: str, alpha: float) -> Tensor:
        """The bound with the gradient Σ_s w̃_s ∂ log p + Σ_s w̃_s² (∂ log v_s / ∂ z_s) (d z_s / d φ) + α ∇ log mean w: Tucker
        et al. 2019, equation 8, with p's own weights and the labels' beside it."""
        assert bound == "iw"
        model, held, zeros = self.at.compiled.ir, self.held, self.held.zeros
        log_p = sum((held.log_prob(f) for f in model.p), zeros)
        log_v = log_p - sum((held.log_prob(f) for f in model.q if f.node in held.numbers), zeros)
        share = log_v.detach().softmax(0)
        explicit = (share * log_p).sum()
        path = _along(self.at, held, log_v, share.square())
        log_w = self.sums.log_w
        labels = alpha * (log_w.logsumexp(0) - math.log(len(log_w)))
        wanted: Tensor = explicit + path + labels
        return self.bound(bound, alpha).detach() + wanted - wanted.detach()


def _along(at: Placed, held: Held, log_v: Tensor, weight: Tensor) -> Tensor:
    """Σ_s weight_s (∂ log v_s / ∂ z_s) · z_s, in which z_s alone can be differentiated."""
    names = list(held.numbers)
    if not names:
        return torch.zeros((), dtype=torch.float64)
    slopes = torch.autograd.grad(log_v.sum(), [held.numbers[n] for n in names], retain_graph=True, allow_unused=True)
    total = torch.zeros((), dtype=torch.float64)
    for name, slope in zip(names, slopes, strict=True):
        if slope is not None:
            each = (slope * at.values[name]).flatten(1).sum(1) if slope.dim() > 1 else slope * at.values[name]
            total = total + (weight.flatten() * each).sum()
    return total


def gradient_in_the_mean(doubly: Compiled, plain: Compiled) -> list[Case]:
    """For each pattern of labels, E[∇ of `doubly`] against E[∇ of `plain`], both at the same draws of the runtime: one number,
    the sum of all cells with alternating weights; within 4 standard errors of the mean difference. Seeds are fixed."""
    found = []
    for known in doubly.some_patterns():
        place = Case("real draws", "iw", known, 2, "mean gradient", tolerance=ERRORS)
        try:
            found.append(_compared(doubly, plain, known, place))
        except Exception as error:  # whatever the emitted step does wrong is a finding
            found.append(failed(place, error))
    return found


def _compared(doubly: Compiled, plain: Compiled, known: tuple[str, ...], place: Case) -> Case:
    row = example(doubly.ir, SEED)
    with FlopCounterMode(display=False) as work:
        _slope(plain, row, known, 1, 0)
    count = int(min(ROWS, max(4, WORK / (2 * BATCHES * (work.get_total_flops() + 1)))))
    both = torch.tensor([[_slope(c, row, known, count, SEED + i) for c in (plain, doubly)] for i in range(BATCHES)])
    gap = both[:, 1] - both[:, 0]
    spread = float(gap.std()) / math.sqrt(BATCHES)
    errors = abs(float(gap.mean())) / spread if spread > 1e-12 else (0.0 if float(gap.abs().max()) < 1e-9 else math.inf)
    note = f"{BATCHES} batches of {count} rows; error in standard errors"
    expected, got = (float(m) for m in both.mean(0))
    return replace(place, expected=expected, found=got, error=errors, note=note)


def _slope(compiled: Compiled, row: Mapping[str, Tensor], known: tuple[str, ...], count: int, seed: int) -> float:
    """The mean gradient of so many rows, in one fixed direction."""
    draws = Draws(torch.Generator().manual_seed(seed))
    step = compiled.run(batch_of(compiled, [(row, known, count)]), draws, 2, 0.5)
    found = gradients(compiled, step.objective.mean())
    return sum(float((wave(g.shape, 3 + i) * g).sum()) for i, g in enumerate(found.values()))


def doubly_row(
    compiled: Compiled, row: Mapping[str, Tensor], known: tuple[str, ...], drawn: Mapping[str, Drawn], samples: int
) -> DoublyRow:
    """A row whose draws are recorded; nothing of it is enumerated."""
    at = Placed(compiled, row, known, drawn, samples)
    held = Held(compiled, row, known, drawn, samples)
    log_p = sum((at.log_prob(f) for f in compiled.ir.p), at.zeros)
    log_r = sum((at.log_prob(f) for f in compiled.ir.q if f.node not in known), at.zeros)
    log_w = sum((at.log_prob(f) for f in compiled.ir.q if f.node in known), at.zeros)
    return DoublyRow(at, held, exact.summed(at.zeros[:, 0], log_p, at.zeros, log_r, log_w))
