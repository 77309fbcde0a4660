"""CPU time of a training step: works and contestants come in, milliseconds and ratios to the hand-written step go out.

    OMP_NUM_THREADS=1 python -m benchmarks step [--only m2-enumerated] [--peers ours,direct,products] [--json FILE]

One thread, process CPU time, every contestant of a work in turns in one process, on the same weights. Before anything is
timed, the loss and the norm of its gradient are compared with the direct step's on the same noise; a difference is an error.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}
os.environ.update(ONE_THREAD)  # before any library is imported that reads them

import torch  # noqa: E402

from benchmarks import contest, left_out, machine, table  # noqa: E402
from benchmarks.peers import DIRECT, PEERS, Kl, Peer, Task, ours  # noqa: E402
from benchmarks.works import DEFAULT, WORKS, Work, data  # noqa: E402
from sgdsl.train.arithmetic import multiplies_bf16  # noqa: E402
from sgdsl.train.denormals import flushed_denormals  # noqa: E402
from sgdsl.train.pages import kept_pages  # noqa: E402

CPU = torch.device("cpu")
Losses = dict[str, float]
Steps = dict[str, Callable[[], None]]
TOLERANCE = {"loss": 1e-4, "gradient": 2e-3}


@dataclass(frozen=True, slots=True)
class Result:
    """A work's times by contestant; `load` average at its start; `kl`: the form of KL(q(z) ‖ p(z)); `losses` under the fixed
    noise."""

    work: str
    load: float
    kl: Kl
    losses: dict[str, float]
    times: dict[str, contest.Times]

    def as_data(self) -> dict[str, object]:
        """Plain values."""
        reference = self.times.get(DIRECT.name)
        rows = {}
        for name, times in self.times.items():
            rows[name] = {"milliseconds": times.median, "rounds": list(times.rounds)}
            if reference:
                ratios = times.ratios(reference)
                rows[name] |= {"ratio": times.median / reference.median, "ratios": [min(ratios), max(ratios)]}
        return {"work": self.work, "load": self.load, "kl": self.kl, "losses": self.losses, "times": rows}


def differs(found: tuple[float, float], expected: tuple[float, float]) -> bool:
    """Whether a loss or a norm of the gradient is off by more than rounding."""
    pairs = zip(found, expected, TOLERANCE.values(), strict=True)
    return not all(math.isclose(a, b, rel_tol=t) for a, b, t in pairs)


def prepare(work: Work, peers: Sequence[Peer], options: argparse.Namespace) -> tuple[Losses, Steps]:
    """Every contestant, after its loss and gradient have been compared with the direct step's with the same form of the KL."""
    made, layers = data(work), ours.layers(work)
    forms = {options.kl, *(p.kl[0] for p in peers if options.kl not in p.kl)}
    expected = {kl: DIRECT.build(Task(work, made, layers, kl)).checked() for kl in forms}
    steps: Steps = {}
    losses: Losses = {}
    for peer in peers:
        kl = options.kl if options.kl in peer.kl else peer.kl[0]
        for precision in (p for p in options.precision if p in peer.precisions):
            contestant = peer.build(Task(work, made, layers, kl, precision))
            if contestant is None:
                continue
            name = peer.name if precision == "highest" else f"{peer.name} {precision}"
            if peer.checked:
                found = contestant.checked()
                if differs(found, expected[kl]):
                    raise SystemExit(f"{work.name}: {name} has loss and gradient {found}, expected {expected[kl]}")
                losses[name] = found[0]
            steps[name] = contestant.step
    return losses, steps


def measure(work: Work, peers: Sequence[Peer], options: argparse.Namespace) -> Result:
    """The times of one work."""
    load = round(os.getloadavg()[0], 2)
    losses, steps = prepare(work, peers, options)
    with kept_pages(CPU), flushed_denormals(CPU):  # as in a run, for all of them
        times = contest.run(steps, options.rounds, options.steps)
    return Result(work.name, load, options.kl, losses, times)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options; names are lists with commas."""
    parser = argparse.ArgumentParser("python -m benchmarks step", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter

    def names(known: Sequence[str]) -> Callable[[str], list[str]]:
        def split(text: str) -> list[str]:
            found = text.split(",")
            if missing := [n for n in found if n not in known]:
                raise argparse.ArgumentTypeError(f"no {', '.join(missing)}; there are {', '.join(known)}")
            return found

        return split

    parser.add_argument(
        "--only", type=names(list(WORKS)), default=list(DEFAULT), metavar="WORK,…", help=", ".join(WORKS)
    )
    parser.add_argument(
        "--peers", type=names(list(PEERS)), default=list(PEERS), metavar="NAME,…", help=", ".join(PEERS)
    )
    every = ["highest", "medium", "bf16"]
    able = every if multiplies_bf16("cpu") else every[:2]
    parser.add_argument(
        "--precision",
        type=names(every),
        default=able,
        metavar="…",
        help=f"{', '.join(every)} (what is no emulation here)",
    )
    forms = ["sampled", "closed"]
    parser.add_argument("--kl", choices=forms, default="sampled", help="form of KL(q(z) ‖ N(0, 1)); closed is -O2")
    parser.add_argument("--rounds", type=int, default=9, help="rounds that are counted (9)")
    parser.add_argument("--steps", type=int, help="steps of each contestant in a round (what fills 0.4 s)")
    parser.add_argument("--json", type=Path, help="write the results there")
    parser.add_argument(
        "--table", type=Path, metavar="FILE", help="print a results file as tables, and measure nothing"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Measures and prints."""
    options = parse(arguments)
    if options.table:
        print(table.markdown(json.loads(options.table.read_text())))
        return
    torch.set_num_threads(1)
    peers = [PEERS[n] for n in options.peers]
    if missing := [p.title for p in peers if not p.installed]:
        print(left_out(missing))
    peers = [p for p in peers if p.installed]
    record: dict[str, object] = {"machine": machine.describe(), "rounds": options.rounds, "works": []}
    for name in options.only:
        result = measure(WORKS[name], peers, options).as_data()
        record["works"].append(result)
        print(table.plain(result), flush=True)
        if options.json:
            options.json.write_text(json.dumps(record, indent=1) + "\n")
