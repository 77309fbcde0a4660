"""The model itself comes in, families, estimators and networks as they are; the cases of its emitted step, against the
bounds by hand at the draws that it took, and of its draws, against those of torch.distributions, go out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, distributions
from torch.utils.flop_counter import FlopCounterMode

from sgdsl.oracle.by_hand import step_and_hand
from sgdsl.oracle.cases import Case, failed, gradient, number
from sgdsl.oracle.outcomes import gradients
from sgdsl.oracle.program import Compiled, batch_of, example, settle, wave
from sgdsl.runtime.draws import Draws

ALPHA = 0.5
SAMPLES = 3
ASSIGNMENTS = 256  # of a row's enumerated unknown nodes, up to which they are summed by hand
WORK = 1e10  # operations that the real draws may cost
ERRORS = 4.0  # standard errors
SEED = 5
TOGETHER = 3  # patterns in a batch


def check_as_it_is(compiled: Compiled) -> tuple[list[Case], list[str]]:
    """Values and gradients of one bound for every pattern of labels; what was too large."""
    left_out = {known: _left_out(compiled, known) for known in compiled.some_patterns()}
    small = [known for known, why in left_out.items() if not why]
    skipped = [f"{', '.join(k) or 'nothing'} known, as it is: {why}" for k, why in left_out.items() if why]
    if baselines := [n for n, how in compiled.baselines.items() if how != "loo"]:
        skipped.append(f"gradients as it is: {', '.join(baselines)} with a learned baseline")
    found: list[Case] = []
    partial = sum(node.type.partial for node in compiled.ir.nodes)
    for repeat in range(3 ** min(partial, 2)):
        for first in range(0, len(small), TOGETHER):
            found += _same_draws(compiled, small[first : first + TOGETHER], SEED + repeat)
    return found, skipped


def prepare(compiled: Compiled) -> None:
    """Moves what torch starts at one number (free parameters, norms) off it; gives BatchNorm statistics of some rows."""
    with torch.no_grad():
        for i, parameter in enumerate(compiled.module.parameters()):
            if float(parameter.max() - parameter.min()) == 0:
                parameter.add_(0.15 * wave(parameter.shape, 7 + i))
    settle(compiled.module)
    if any(name.endswith("running_mean") for name, _ in compiled.module.named_buffers()):
        rows = [(example(compiled.ir, 50 + i), (), 1) for i in range(4)]
        compiled.module.train()
        compiled.run(batch_of(compiled, rows), Draws(torch.Generator().manual_seed(1)), 1, ALPHA)
        compiled.module.eval()


def _left_out(compiled: Compiled, known: tuple[str, ...]) -> str:
    """Why the rows of a pattern are not summed by hand."""
    if sampled := sorted(compiled.groups.sampled - set(known)):
        return f"{', '.join(sampled)} by sum_and_sample"
    listed = [n for n, how in compiled.chosen.items() if how == "enumerate" and n not in known]
    values = math.prod(compiled.ir.node(n).type.cardinality or 1 for n in listed)
    return f"{values:,} values at once" if values > ASSIGNMENTS else ""


def _same_draws(compiled: Compiled, patterns: Sequence[tuple[str, ...]], seed: int) -> Iterator[Case]:
    """Every pattern in one batch, at the draws that the step took."""
    rows = [(example(compiled.ir, seed), known, 1) for i, known in enumerate(patterns)]
    places = [Case("as it is", compiled.bound, known, SAMPLES, "value") for known in patterns]
    try:
        step, bounds, objectives = step_and_hand(compiled, rows, SAMPLES, ALPHA, seed)
    except Exception as error:  # whatever the emitted step does wrong is a finding
        yield from (failed(place, error) for place in places)
        return
    for i, place in enumerate(places):
        yield number(place, float(bounds[i].detach()), float(step.bound[i].detach()))
        if all(how == "loo" for how in compiled.baselines.values()):
            wanted, slopes = (gradients(compiled, t[i]) for t in (objectives, step.objective))
            yield gradient(replace(place, what="gradient"), wanted, slopes)


# --- real draws -----------------------------------------------------------------------------------------------


class Textbook:
    """A stand-in for sgdsl.runtime.draws.Draws that draws from torch.distributions."""

    def mixture(self, weights: Tensor, drawn: Tensor) -> Tensor:
        """The draw of one expert an entry."""
        index = distributions.Categorical(logits=weights.expand(*drawn.shape[:2], -1)).sample()
        return drawn.take_along_dim(index.reshape(*index.shape, *[1] * (drawn.dim() - 2)), 2)[:, :, 0]

    def __getattr__(self, method: str) -> Callable[..., Tensor]:
        return lambda size, *args: _textbook(method, tuple(size), [torch.as_tensor(a).double() for a in args])


FAMILIES: dict[str, Callable[..., Any]] = {
    "normal": distributions.Normal,
    "laplace": distributions.Laplace,
    "log_normal": distributions.LogNormal,
    "student_t": distributions.StudentT,
    "exponential": distributions.Exponential,
    "gamma": distributions.Gamma,
    "beta": distributions.Beta,
    "continuous_bernoulli": lambda logits: distributions.ContinuousBernoulli(logits=logits),
    "dirichlet": distributions.Dirichlet,
    "von_mises": distributions.VonMises,
    "bernoulli": lambda logits: distributions.Bernoulli(logits=logits),
    "binary_straight_through": lambda logits: distributions.Bernoulli(logits=logits),
    "binary_gumbel": lambda logits, temperature: distributions.RelaxedBernoulli(temperature, logits=logits),
    "categorical": lambda logits: distributions.Categorical(logits=logits),
    "straight_through": lambda logits: distributions.OneHotCategorical(logits=logits),
    "gumbel": lambda logits, temperature: distributions.RelaxedOneHotCategorical(temperature, logits=logits),
    "poisson": distributions.Poisson,
    "negative_binomial": lambda total, logits: distributions.NegativeBinomial(total, logits=logits),
}


def _textbook(method: str, size: tuple[int, ...], at: list[Tensor]) -> Tensor:
    """`size` is that of the draw; the logits of classes have one dimension more, a temperature none."""
    if method == "zero_inflated_negative_binomial":
        count = _textbook("negative_binomial", size, at[:2])
        return torch.where(_textbook("bernoulli", size, [torch.logit(at[2])]).bool(), 0.0, count)
    if method == "resample":
        drawn_rows: Tensor = distributions.Categorical(logits=at[0].t()).sample(torch.Size(size[:1]))
        return drawn_rows
    classes = method in ("categorical", "straight_through", "gumbel")
    shape = (*size, at[0].shape[-1]) if classes else size
    if method == "multivariate_normal":
        found: Tensor = distributions.MultivariateNormal(at[0].expand(size), scale_tril=at[1]).sample()
        return found
    if method == "von_mises_fisher":
        return _direction(at[0].expand(size), at[1].expand(size[:-1]))
    full = [a.expand(shape) if i == 0 or "gumbel" not in method else a for i, a in enumerate(at)]
    drawn: Tensor = FAMILIES[method](*full).sample()
    return drawn


def _direction(loc: Tensor, k: Tensor) -> Tensor:
    """Uniform directions, kept with probability exp(κ (loc · x − 1))."""
    found, missing = torch.zeros_like(loc), torch.ones_like(k, dtype=torch.bool)
    while missing.any():
        tried = torch.nn.functional.normalize(torch.randn_like(loc), dim=-1)
        kept = missing & (torch.rand_like(k).log() <= k * ((loc * tried).sum(-1) - 1))
        found, missing = torch.where(kept[..., None], tried, found), missing & ~kept
    return found


def check_real_draws(compiled: Compiled) -> list[Case]:
    """The mean bound of many copies of an unlabelled row, all nodes drawn, with the runtime's draws and torch's own: within
    4 standard errors. Seeds are fixed, so that a run repeats."""
    place = Case("real draws", compiled.bound, (), 2, "mean", tolerance=ERRORS)
    row = example(compiled.ir, SEED)
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            # the counter hooks what modules read, and a parameter's view without a graph cannot be hooked
            with torch.enable_grad(), FlopCounterMode(display=False) as work:
                compiled.run(batch_of(compiled, [(row, (), 1)]), Textbook(), 2, ALPHA)
            count = int(min(4_000, max(30, WORK / (2 * work.get_total_flops() + 1))))
            batch = batch_of(compiled, [(row, (), count)])
            wanted = compiled.run(batch, Textbook(), 2, ALPHA).bound
            found = compiled.run(batch, Draws(torch.Generator().manual_seed(SEED)), 2, ALPHA).bound
    except Exception as error:  # as above
        return [failed(place, error)]
    spread = math.sqrt(float(wanted.var() + found.var()) / count)
    gap = abs(float(wanted.mean() - found.mean()))
    note = f"{count} rows; error in standard errors"
    errors = gap / spread if spread > 0 else (0.0 if gap < 1e-9 else math.inf)
    return [replace(place, expected=float(wanted.mean()), found=float(found.mean()), error=errors, note=note)]
