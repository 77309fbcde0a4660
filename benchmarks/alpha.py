"""The weight of labels: sensor-like data with few labels come in; the error of q of the label and log p(x) against α go out.

    python -m benchmarks alpha [--only pump,gas] [--shares 0.1,1] [--rates 0.02,0.1] [--seeds 3] [--json benchmarks/alpha.json]
    python -m benchmarks alpha --table

Readings are made by a fixed network of 16 tanh units from the label and one or two hidden causes, with noise; 4,000 rows, of
which a share `rate` has its label, and 1,000 held out. α = share / ρ. A cell that is in the json file is not measured again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import sgdsl

Array = npt.NDArray[Any]
ROWS, HELD_OUT = 4000, 1000
SETTINGS = "train { epochs = 40, batch = 200, lr = 3e-3 }"
SHARES, RATES = (0.1, 0.3, 1.0, 3.0, 10.0), (0.02, 0.1)


@dataclass(frozen=True, slots=True)
class Sensor:
    """`node` of `support` is the label; `draw` makes it, `cause` [rows, n] turns it into what the readings are made of,
    with `hidden` other causes; `code`: the label comes after a code of the readings, else q reads them."""

    node: str
    support: str
    family: str
    cells: int
    draw: Callable[[np.random.Generator, int], Array]
    cause: Callable[[Array], Array]
    hidden: int = 2
    noise: float = 0.3
    code: bool = False

    @property
    def text(self) -> str:
        """The model; p of the label is learned, networks have 64 units."""
        y, family = self.node, self.family
        head = f"model sensor\nobserved x : real[{self.cells}]\nsupervised {y} : {self.support}\nlatent z : real[4]\n"
        head += f"p({y}) = {family}(learned)\n"
        if self.code:
            return head + (
                f"latent u : real[2]\np(u) = Normal\np(z | {y}, u) = Normal(mlp(32))\np(x | z) = Normal(mlp(64))\n"
                f"q(z | x) = Normal(mlp(64))\nq({y} | z) = {family}(mlp(32))\nq(u | z, {y}) = Normal(mlp(32))\n"
            )
        return head + (
            f"p(z) = Normal\np(x | {y}, z) = Normal(mlp(64))\n"
            f"q({y} | x) = {family}(mlp(64))\nq(z | x, {y}) = Normal(mlp(64))\n"
        )


def _real(random: np.random.Generator, rows: int) -> Array:
    return random.normal(size=rows)


SENSORS = {
    "thermo": Sensor("t", "real", "Normal", 60, _real, lambda t: t[:, None]),
    "pump": Sensor(
        "w", "unit", "Beta", 40, lambda r, n: np.clip(r.beta(2, 3, n), 1e-3, 0.999), lambda w: 4 * w[:, None] - 1.6,
        noise=0.4,
    ),
    "gas": Sensor(
        "c", "positive", "LogNormal", 24, lambda r, n: np.exp(0.8 * r.normal(size=n)),
        lambda c: np.log(c)[:, None] / 0.8, hidden=1,
    ),
    "alarms": Sensor("f", "count", "Poisson", 30, lambda r, n: r.poisson(2.0, n), lambda f: 0.7 * f[:, None] - 1.2),
    "plant": Sensor(
        "s", "class(4)", "Categorical", 30, lambda r, n: r.integers(0, 4, n), lambda s: 2 * np.eye(4)[s],
    ),
    "thermo behind a code": Sensor("t", "real", "Normal", 60, _real, lambda t: t[:, None], code=True),
}  # fmt: skip


def rows_of(name: str, seed: int) -> dict[str, Array]:
    """Readings x and labels, training rows first. The simulator belongs to the name, the rows to the seed."""
    sensor, total = SENSORS[name], ROWS + HELD_OUT
    fixed = np.random.default_rng(100 + sum(map(ord, name.split()[0])))
    random = np.random.default_rng(seed)
    others = random.normal(size=(total, 2))[:, : sensor.hidden]
    label = sensor.draw(random, total)
    causes = np.concatenate([sensor.cause(label), others], 1)
    into, shift = fixed.normal(size=(causes.shape[1], 16)) * 1.5, fixed.normal(size=16)
    out = fixed.normal(size=(16, sensor.cells)) / 2
    x = np.tanh(causes @ into / np.sqrt(causes.shape[1]) + shift) @ out
    return {"x": x + sensor.noise * random.normal(size=x.shape), sensor.node: label}


def cell(name: str, rate: float, share: float, seed: int) -> dict[str, float]:
    """One training: `error` of q of the label on held-out rows over that of the best constant, and log p(x), nats a row."""
    sensor, rows = SENSORS[name], rows_of(name, seed)
    known = np.zeros(ROWS + HELD_OUT, bool)
    known[np.random.default_rng(seed + 7).permutation(ROWS)[: round(rate * ROWS)]] = True
    known[ROWS:] = True
    rows[f"{sensor.node}_known"] = known
    train, test = ({n: v[part] for n, v in rows.items()} for part in (slice(ROWS), slice(ROWS, None)))
    samples = "samples = 4, " if sensor.code else ""
    text = f"{sensor.text}objective {{ {samples}alpha = {share / rate} }}\n{SETTINGS}\n"
    with tempfile.TemporaryDirectory() as folder:
        run = sgdsl.fit(sgdsl.compile(text), train, test=test, out=Path(folder) / "run", quiet=True, seed=seed)
        belief, bound = run.posterior(x=test["x"])[sensor.node], run.log_prob(x=test["x"]).mean()
    return {"error": error(belief, test[sensor.node]), "log p": float(bound)}


def error(belief: Any, truth: Array) -> float:
    """1 for the best constant: wrong classes, or the root-mean-square error of the mean, over that of the constant."""
    if isinstance(belief, tuple):
        return float(np.sqrt(np.mean((belief[0] - truth) ** 2)) / truth.std())
    return float(np.mean(belief.argmax(1) != truth) / (1 - np.bincount(truth).max() / len(truth)))


def table(cells: dict[str, dict[str, float]]) -> str:
    """Markdown: a line for each sensor and rate, mean error and, in brackets, mean log p over seeds for each share."""
    lines = [
        f"| label | known | {' | '.join(f'αρ = {s:g}' for s in SHARES)} |",
        f"| --- | --- |{' --- |' * len(SHARES)}",
    ]
    for name, sensor in SENSORS.items():
        for rate in RATES:
            found = [[v for k, v in cells.items() if k.startswith(f"{name}|{rate:g}|{s:g}|")] for s in SHARES]
            lines.append(f"| {name}: {sensor.support} | {100 * rate:g} % | {' | '.join(map(_shown, found))} |")
    return "\n".join(lines)


def _shown(seeds: list[dict[str, float]]) -> str:
    """0.23 (−31.8); a dash where nothing was measured."""
    if not seeds:
        return "–"
    wrong, bound = (statistics.mean(found[name] for found in seeds) for name in ("error", "log p"))
    return f"{wrong:.2f} ({bound:.1f})".replace("-", "−")


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks alpha", description=__doc__)
    parser.add_argument("--only", default=",".join(SENSORS))
    parser.add_argument("--shares", default=",".join(f"{s:g}" for s in SHARES))
    parser.add_argument("--rates", default=",".join(f"{r:g}" for r in RATES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--table", action="store_true", help="print what was measured, and measure nothing")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    cells = json.loads(asked.json.read_text()) if asked.json.exists() else {}
    wanted = [] if asked.table else [
        (name, float(rate), float(share), seed)
        for seed in range(asked.seeds)
        for name in asked.only.split(",")
        for rate in asked.rates.split(",")
        for share in asked.shares.split(",")
    ]  # fmt: skip
    for name, rate, share, seed in wanted:
        key = f"{name}|{rate:g}|{share:g}|{seed}"
        if key not in cells:
            cells[key] = cell(name, rate, share, seed)
            asked.json.write_text(json.dumps(cells, indent=1) + "\n")
    print(table(cells))
