"""Weights by group against one joint weight: root-mean-square errors of log q(labels | x) and of L, against exact values.

    python -m benchmarks groups [--labels 16] [--samples 64] [--rows 2000] [--json groups.json]

Independent labels, each behind a latent of its own: q(z_i | x) = Normal, q(y_i | z_i) = Bernoulli. Two decoders: x_i reads z_i
(one group each), or one x reads all z (every group); written out, and in a loop over the labels. Exact
values by Gauss-Hermite quadrature, a label at a time.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.runtime.batch import Step, make_batch
from sgdsl.runtime.bounds import log_labels
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load

ALPHA = 0.0
NOISE = 4.0  # scale of the decoder that reads all groups


def in_a_loop(labels: int, samples: int, all_groups: bool) -> driver.Checked:
    """The same model, each label a copy."""
    inside = "" if all_groups else "observed x[i] : real\np(x[i] | z[i]) = Normal(loc = z[i], scale = 1)\n"
    outside = f"observed x : real\np(x | z) = Normal(loc = sum(z[*]), scale = {NOISE})\n" if all_groups else ""
    text = f"""model independent
given c : real[1]
for i in 1..{labels} {{
supervised y[i] : binary
latent z[i] : real
p(y[i]) = Bernoulli
p(z[i]) = Normal
q(z[i] | c) = Normal(loc = 0.5 * sum(c), scale = 1)
q(y[i] | z[i]) = Bernoulli(logits = 2 * z[i])
{inside}}}
{outside}"""
    return driver.check(Source("independent.sgm", text), [f"objective.samples={samples}"])


def program(labels: int, samples: int, all_groups: bool) -> driver.Checked:
    """The model; nothing in it is learned."""
    names = range(1, labels + 1)
    lines = ["model independent", "given c : real[1]"]
    for i in names:
        lines += [f"supervised y{i} : binary", f"latent z{i} : real", f"p(y{i}) = Bernoulli", f"p(z{i}) = Normal"]
        lines += [
            f"q(z{i} | c) = Normal(loc = 0.5 * sum(c), scale = 1)",
            f"q(y{i} | z{i}) = Bernoulli(logits = 2 * z{i})",
        ]
        if not all_groups:
            lines += [f"observed x{i} : real", f"p(x{i} | z{i}) = Normal(loc = z{i}, scale = 1)"]
    if all_groups:
        every = ", ".join(f"z{i}" for i in names)
        lines += [
            "observed x : real",
            f"p(x | {every}) = Normal(loc = {' + '.join(f'z{i}' for i in names)}, scale = {NOISE})",
        ]
    text = "\n".join(lines) + "\n"
    return driver.check(Source("independent.sgm", text), [f"objective.samples={samples}"])


def exact(y: Tensor, all_groups: bool) -> tuple[float, float]:
    """log q(labels | x) and L of a row with the labels y [labels] and every observed value 1, by quadrature."""
    at, weight = np.polynomial.hermite_e.hermegauss(200)
    z, mass = torch.tensor(0.5 + at), torch.tensor(weight / math.sqrt(2 * math.pi))
    log_q = torch.nn.functional.logsigmoid((2 * y[:, None] - 1) * 2 * z)  # [labels, points]
    total = (mass * log_q.exp()).sum(1).log()
    posterior = mass * log_q.exp() / total.exp()[:, None]
    prior = -0.5 * z**2 + 0.5 * (z - 0.5) ** 2  # log p(z) − log q(z | c)
    f = (posterior * (prior + math.log(0.5) - log_q)).sum()
    if all_groups:
        mean, square = (posterior * z).sum(1), (posterior * z**2).sum(1)
        spread = (1 - mean.sum()) ** 2 + (square - mean**2).sum()
        f = f - 0.5 * spread / NOISE**2 - math.log(NOISE) - 0.5 * math.log(2 * math.pi)
    else:
        f = f + (posterior * (-0.5 * (1 - z) ** 2 - 0.5 * math.log(2 * math.pi))).sum()
    return float(total.sum()), float(f + (1 + ALPHA) * total.sum())


def run(checked: driver.Checked, y: Tensor, rows: int, seed: int, joint: bool) -> Step:
    """The emitted step on `rows` copies of a row, each with draws of its own; `joint`: one weight for all groups."""
    if joint:
        checked = replace(checked, plan=replace(checked.plan, groups=None))
    model: Any = load(driver.emit(checked).text, f"independent_{joint}").Model()
    model.alpha = ALPHA
    here = {n: i for n, i in model.NODES.items() if i.role in ("observed", "given")}
    values = {n: torch.ones(rows, *[len(y)] * len(i.loops), *i.event) for n, i in here.items()}
    each = {f"y{i + 1}": v for i, v in enumerate(y)}
    labels = {n: v.expand(rows, *v.shape) for n, v in ({"y": y} if "y" in model.NODES else each).items()}
    known = {n: torch.ones(v.shape, dtype=torch.bool) for n, v in labels.items()}
    with torch.no_grad():
        step: Step = model(make_batch(model, values | labels, known), Draws(torch.Generator().manual_seed(seed)))
    return step


def errors(labels: int, samples: int, rows: int, seed: int = 0) -> dict[str, dict[str, float]]:
    """Root-mean-square errors by decoder and weights."""
    torch.set_default_dtype(torch.float64)
    y = (torch.arange(labels) % 2).double()
    found: dict[str, dict[str, float]] = {}
    for all_groups in (False, True):
        log_q, target = exact(y, all_groups)
        ways = [(program, True, "joint"), (program, False, "by group"), (in_a_loop, False, "in a loop, by group")]
        for made, joint, how in ways:
            step = run(made(labels, samples, all_groups), y, rows, seed, joint)
            bound, estimate = step.bound, log_labels(step.log_w)
            name = f"{'all groups' if all_groups else 'one group'}, {how}"
            found[name] = {
                "log q(labels | x)": float((estimate - log_q).square().mean().sqrt()),
                "L": float((bound - target).square().mean().sqrt()),
                "mean of the bound − L": float((bound - target).mean()),
                "standard error of that mean": float(bound.std() / math.sqrt(rows)),
            }
    return found


def main(arguments: list[str]) -> None:
    """Prints a table and writes it as data."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks groups", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--labels", type=int, default=16)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    found = errors(args.labels, args.samples, args.rows)
    columns = list(next(iter(found.values())))
    print("| decoder reads, weights |", " | ".join(columns), "|")
    print("| --- |" + " --- |" * len(columns))
    for name, row in found.items():
        print(f"| {name} |", " | ".join(f"{row[c]:.3f}" for c in columns), "|")
    if args.json:
        args.json.write_text(json.dumps(vars(args) | {"json": None, "errors": found}, indent=2) + "\n")
