"""Pyro as its semi-supervised example has it (examples/vae/ss_vae_M2.py): a task comes in, a step goes out.

Labelled and unlabelled batches apart, an auxiliary loss for the classifier, each with its own optimiser step; probabilities
rather than logits; y enumerated in parallel. Where y is relaxed, it is drawn in the guide and handed to the model.
"""

from __future__ import annotations

from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import SVI, Trace_ELBO, TraceEnum_ELBO, config_enumerate
from torch import Tensor
from torch.nn import functional as F

from benchmarks.noise import Fixed
from benchmarks.peers import Task
from benchmarks.peers.distributions import networks
from benchmarks.peers.trained import set_products
from benchmarks.works import ALPHA, CLASSES, LEARNING_RATE, RATE, TEMPERATURE


class FixedNormal(dist.Normal):
    """Draws the pattern of all contestants."""

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.loc + self.scale * Fixed().normal(1, 1, self.loc.shape[-1])[0]


def beside(*inputs: Tensor) -> Tensor:
    """Concatenation with leading dimensions broadcast."""
    lead = torch.broadcast_shapes(*(i.shape[:-1] for i in inputs))
    return torch.cat([i.expand(*lead, -1) for i in inputs], -1)


class M2:
    """Model, guide and auxiliary model; x [rows, 784], y one-hot."""

    def __init__(self, task: Task) -> None:
        self.nets, self.fixed, self.relaxed = networks(task.layers), False, task.work.y == "gumbel"
        many, work = task.work.unlabelled, task.work
        x, y = torch.from_numpy(task.data.x), F.one_hot(torch.from_numpy(task.data.y), CLASSES).float()
        self.free, self.labelled = (x[:many], None), (x[many:], y[many:])
        self.weights = (1 - RATE) / many, RATE / work.labelled
        self.params = list(self.nets.parameters())

    def normal(self, loc: Tensor, scale: Tensor) -> Any:
        return (FixedNormal if self.fixed else dist.Normal)(loc, scale).to_event(1)

    def losses(self) -> list[tuple[Any, Any, Any, tuple[Tensor, Tensor | None]]]:
        """ELBO, model, guide and batch of each optimiser step."""
        elbo = TraceEnum_ELBO(max_plate_nesting=1)
        guide = self.guide if self.relaxed else config_enumerate(self.guide, "parallel", expand=True)
        return [
            (elbo, self.model, guide, self.free),
            (elbo, self.model, guide, self.labelled),
            (Trace_ELBO(), self.classify, self.nothing, self.labelled),
        ]

    def weight(self, y: Tensor | None) -> Any:
        return pyro.poutine.scale(scale=self.weights[y is not None])

    def model(self, x: Tensor, y: Tensor | None) -> None:
        pyro.module("nets", self.nets)
        with self.weight(y), pyro.plate("data", len(x)):
            size = self.nets["q_z"][-1].weight.shape[0] // 2
            z = pyro.sample("z", dist.Normal(x.new_zeros(len(x), size), x.new_ones(len(x), size)).to_event(1))
            if y is None and self.relaxed:
                y = pyro.sample("y", dist.ImproperUniform(dist.constraints.real, (len(x),), (CLASSES,)))
                pyro.factor("log p(y)", torch.full((len(x),), 1 / CLASSES).log())
            else:
                y = pyro.sample("y", dist.OneHotCategorical(x.new_ones(len(x), CLASSES) / CLASSES), obs=y)
            probs = self.nets["p_x"](beside(y, z)).sigmoid()
            pyro.sample("x", dist.Bernoulli(probs, validate_args=False).to_event(1), obs=x)

    def guide(self, x: Tensor, y: Tensor | None) -> None:
        pyro.module("nets", self.nets)
        with self.weight(y), pyro.plate("data", len(x)):
            if y is None:
                y = self.guess(self.nets["q_y"](x))
            loc, raw = self.nets["q_z"](beside(x, y)).chunk(2, -1)
            pyro.sample("z", self.normal(loc, F.softplus(raw) + 1e-4))

    def guess(self, logits: Tensor) -> Tensor:
        if not self.relaxed:
            return pyro.sample("y", dist.OneHotCategorical(logits.softmax(-1)))
        q = dist.OneHotCategorical(logits=logits)
        pyro.factor("q(y)", -q.entropy(), has_rsample=True)
        if self.fixed:
            y = ((q.logits + Fixed().gumbel(1, len(logits), CLASSES)[0]) / TEMPERATURE).softmax(-1)
        else:
            y = dist.RelaxedOneHotCategorical(torch.tensor(TEMPERATURE), logits=logits).rsample()
        return pyro.sample("y", dist.Delta(y).to_event(1))

    def classify(self, x: Tensor, y: Tensor | None) -> None:
        pyro.module("nets", self.nets)
        with self.weight(y), pyro.plate("data", len(x)), pyro.poutine.scale(scale=ALPHA):
            pyro.sample("y_aux", dist.OneHotCategorical(self.nets["q_y"](x).softmax(-1)), obs=y)

    def nothing(self, x: Tensor, y: Tensor | None) -> None:
        """The guide of the auxiliary loss."""


class VAE(M2):
    """Without labels: one loss."""

    def __init__(self, task: Task) -> None:
        self.nets, self.fixed, self.relaxed = networks(task.layers), False, True
        self.free, self.weights = (torch.from_numpy(task.data.x), None), (1 / task.work.rows,)
        self.params = list(self.nets.parameters())

    def losses(self) -> list[tuple[Any, Any, Any, tuple[Tensor, Tensor | None]]]:
        return [(Trace_ELBO(), self.model, self.guide, self.free)]

    def model(self, x: Tensor, y: Tensor | None) -> None:
        pyro.module("nets", self.nets)
        with self.weight(y), pyro.plate("data", len(x)):
            size = self.nets["q_z"][-1].weight.shape[0] // 2
            z = pyro.sample("z", dist.Normal(x.new_zeros(len(x), size), x.new_ones(len(x), size)).to_event(1))
            probs = self.nets["p_x"](z).sigmoid()
            pyro.sample("x", dist.Bernoulli(probs, validate_args=False).to_event(x.dim() - 1), obs=x)

    def guide(self, x: Tensor, y: Tensor | None) -> None:
        pyro.module("nets", self.nets)
        with self.weight(y), pyro.plate("data", len(x)):
            loc, raw = self.nets["q_z"](x).chunk(2, -1)
            pyro.sample("z", self.normal(loc, F.softplus(raw) + 1e-4))


class Stepped:
    """SVI of each loss in turn."""

    def __init__(self, made: M2) -> None:
        self.made = made
        pyro.clear_param_store()
        optimiser = pyro.optim.Adam({"lr": LEARNING_RATE})
        self.steps = [(SVI(m, g, optimiser, loss=e), batch) for e, m, g, batch in made.losses()]

    def checked(self) -> tuple[float, float]:
        set_products("highest")
        self.made.fixed = True
        loss = torch.stack([e.differentiable_loss(m, g, *b) for e, m, g, b in self.made.losses()]).sum()
        loss.backward()
        norm = sum(float(p.grad.square().sum()) for p in self.made.params) ** 0.5
        for p in self.made.params:
            p.grad = None
        self.made.fixed = False
        return float(loss.detach()), norm

    def step(self) -> None:
        set_products("highest")
        for svi, batch in self.steps:
            svi.step(*batch)


def build(task: Task) -> Stepped | None:
    """M2 with one sample, y enumerated or relaxed, and the VAEs; the example has nothing else."""
    if task.work.samples > 1 or task.work.y == "sum_and_sample":
        return None
    match task.work.kind:
        case "m2":
            return Stepped(M2(task))
        case "vae" | "conv":
            return Stepped(VAE(task))
    return None
