"""CPU time of a step of M2, y enumerated: the emitted step beside the same written with torch.distributions and Adam.

    OMP_NUM_THREADS=1 python -m benchmarks.m2 [--rounds 9]

M2 with y class(10), z real[50], layers of 500, 128 unlabelled and 128 labelled rows of 784 binary cells, one thread. The
losses are checked to be equal on the same weights and noise first; then both are timed in turns, in process CPU time.
Prints JSON: medians in milliseconds, their ratio, and the ratio of each round.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, Normal, kl_divergence
from torch.nn import functional as F

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.runtime.batch import make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load

M2 = """model m2
observed   x : binary[784]
supervised y : class(10)
latent     z : real[50]
p(y)        = Categorical
p(z)        = Normal
p(x | y, z) = Bernoulli(mlp(500, 500))
q(y | x)    = Categorical(mlp(500, 500))
q(z | x, y) = Normal(mlp(500, 500))
"""
UNLABELLED, LABELLED, CLASSES, ALPHA, RATE = 128, 128, 10, 0.1, 0.5


class Zero(Draws):
    """Draws without noise, so that both losses can be compared."""

    def normal(self, size: tuple[int, ...], loc: Tensor | float, scale: Tensor | float) -> Tensor:
        return torch.as_tensor(loc).expand(size)


def stack(*sizes: int) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class ByHand(nn.Module):
    """M2 as most people write it: torch.distributions, one-hot inputs, classes as a dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.y, self.z, self.x = stack(784, 500, 500, 10), stack(794, 500, 500, 100), stack(60, 500, 500, 784)

    def bound(self, x: Tensor, y: Tensor, noise: bool) -> Tensor:
        """log p(x | y, z) + log p(y) − KL, [rows]."""
        loc, raw = self.z(torch.cat([x, y], -1)).chunk(2, -1)
        q = Normal(loc, F.softplus(raw) + 1e-4)
        z = q.rsample() if noise else loc
        log_p = Bernoulli(logits=self.x(torch.cat([y, z], -1))).log_prob(x).sum(-1)
        log_p = log_p + Normal(0.0, 1.0).log_prob(z).sum(-1) - q.log_prob(z).sum(-1)
        return log_p + Categorical(logits=torch.zeros(CLASSES)).log_prob(y.argmax(-1))

    def loss(self, x: Tensor, y: Tensor, noise: bool = True) -> Tensor:
        free, fixed = x[:UNLABELLED], x[UNLABELLED:]
        label = F.one_hot(y[UNLABELLED:], CLASSES).float()
        log_q = Categorical(logits=self.y(fixed)).log_prob(y[UNLABELLED:])
        labelled = self.bound(fixed, label, noise) + ALPHA * log_q
        q_y = Categorical(logits=self.y(free))
        every = torch.eye(CLASSES).repeat(UNLABELLED, 1)
        each = self.bound(free.repeat_interleave(CLASSES, 0), every, noise).view(UNLABELLED, CLASSES)
        uniform = Categorical(logits=torch.zeros(CLASSES))
        each = each - uniform.log_prob(torch.arange(CLASSES))
        unlabelled = (q_y.probs * each).sum(-1) - kl_divergence(q_y, uniform)
        return -(1 - RATE) * unlabelled.mean() - RATE * labelled.mean()


def emitted() -> Any:
    """The emitted module of M2."""
    model = load(driver.compile_source(Source("m2.sgm", M2)).text, "benchmark_m2").Model()
    model.alpha = ALPHA
    return model


def emitted_loss(model: Any, x: Tensor, y: Tensor, draws: Draws) -> Tensor:
    known = torch.arange(len(x)) >= UNLABELLED
    objective = model(make_batch(model, {"x": x, "y": y}, {"y": known}), draws).objective
    loss: Tensor = -(1 - RATE) * objective[:UNLABELLED].mean() - RATE * objective[UNLABELLED:].mean()
    return loss


def share_weights(model: Any, hand: ByHand) -> None:
    """The emitted model's weights for the hand-written one (there x stands before y, heads are one layer)."""
    for target, part in ((hand.y, model.q_y), (hand.z, model.q_z), (hand.x, model.p_x)):
        heads = [part.logits] if hasattr(part, "logits") else [part.loc, part.scale]
        for i in (0, 2):
            target[i].load_state_dict(part.trunk[i].state_dict())
        target[4].weight.data = torch.cat([h.weight.data for h in heads])
        target[4].bias.data = torch.cat([h.bias.data for h in heads])


def timed(loss: Callable[[], Tensor], optimiser: torch.optim.Optimizer, steps: int) -> float:
    """Milliseconds of CPU time a step."""
    start = time.process_time()
    for _ in range(steps):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    return (time.process_time() - start) / steps * 1000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = (torch.rand(UNLABELLED + LABELLED, 784) < 0.3).float()
    y = torch.randint(0, CLASSES, (len(x),))
    model, hand, draws = emitted(), ByHand(), Draws(torch.Generator().manual_seed(0))
    share_weights(model, hand)
    ours = float(emitted_loss(model, x, y, Zero(torch.Generator())))
    theirs = float(hand.loss(x, y, noise=False))
    assert abs(ours - theirs) < 1e-3 * abs(theirs), (ours, theirs)
    pairs = [
        (lambda: emitted_loss(model, x, y, draws), torch.optim.Adam(model.parameters(), fused=True)),
        (lambda: hand.loss(x, y), torch.optim.Adam(hand.parameters())),
    ]
    times: list[tuple[float, ...]] = []
    for i in range(rounds + 1):
        found = tuple(timed(loss, optimiser, 4) for loss, optimiser in pairs)
        times += [found] if i else []
    medians = [statistics.median(t[k] for t in times) for k in (0, 1)]
    print(
        json.dumps(
            {
                "machine": f"{platform.processor() or platform.machine()}, torch {torch.__version__}, one thread",
                "loss": {"emitted": ours, "torch.distributions": theirs},
                "milliseconds": {"emitted": medians[0], "torch.distributions": medians[1]},
                "ratio": medians[0] / medians[1],
                "ratios": sorted(a / b for a, b in times),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
