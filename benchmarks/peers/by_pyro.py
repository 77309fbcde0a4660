"""Pyro, tuned: one pass, shared first layers, logits, no validation, fused Adam; a task comes in, a step goes out.

The sum over classes is a batch of entries whose sites are scaled by q(y | x); what the guide computes and the model reads is
a Delta site.
"""

from __future__ import annotations

from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import Trace_ELBO, TraceMeanField_ELBO
from torch import Tensor

from benchmarks.noise import Fixed
from benchmarks.peers import Task
from benchmarks.peers.direct.formulas import every_class, positive
from benchmarks.peers.direct.layers import LOG_CLASSES, run, stack
from benchmarks.peers.direct.m2 import M2 as Layers
from benchmarks.peers.trained import Trained
from benchmarks.works import ALPHA, CLASSES, RATE, TEMPERATURE


class FixedNormal(dist.Normal):
    """Draws the patterns of all contestants, [S, rows, n]."""

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.loc + self.scale * Fixed().normal(*self.loc.shape)


class VAE:
    """Model and guide; every site is [S, rows] with a weight a row."""

    def __init__(self, task: Task) -> None:
        self.work, self.x, self.fixed = task.work, torch.from_numpy(task.data.x), False
        self.nets: Any = torch.nn.ModuleDict({k: stack(v) for k, v in task.layers.items()})
        self.weight = torch.full((task.work.rows,), 1 / task.work.rows / task.work.samples)

    def drawn(self, out: Tensor, weight: Tensor) -> Tensor:
        loc, raw = out.chunk(2, -1)
        loc, scale = (v.expand(self.work.samples, *v.shape[-2:]) for v in (loc, positive(raw)))
        with pyro.poutine.scale(scale=weight):
            return pyro.sample("z", (FixedNormal if self.fixed else dist.Normal)(loc, scale).to_event(1))

    def standard(self, rows: int, size: int, weight: Tensor) -> Tensor:
        prior = dist.Normal(torch.zeros(()), torch.ones(())).expand([self.work.samples, rows, size])
        with pyro.poutine.scale(scale=weight):
            return pyro.sample("z", prior.to_event(1))

    def observed(self, logits: Tensor, x: Tensor, weight: Tensor) -> None:
        with pyro.poutine.scale(scale=weight):
            pyro.sample("x", dist.Bernoulli(logits=logits).to_event(1), obs=x.expand_as(logits))

    def guide(self) -> None:
        self.drawn(run(self.nets["q_z"], self.x), self.weight)

    def model(self) -> None:
        z = self.standard(len(self.x), self.nets["p_x"][0].in_features, self.weight)
        self.observed(run(self.nets["p_x"], z), self.x, self.weight)


class M2(VAE):
    """The layers of the direct step."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.nets = Layers(task)
        many = task.work.unlabelled
        free, fixed = (
            torch.full((many,), (1 - RATE) / many),
            torch.full((task.work.labelled,), RATE / task.work.labelled),
        )
        self.weight = torch.cat([free, fixed])
        self.x_entries = torch.cat([self.x[:many].repeat_interleave(CLASSES, 0), self.x[many:]])

    def guide(self) -> None:
        nets, many, samples = self.nets, self.work.unlabelled, self.work.samples
        h = nets.first(self.x)
        of_y, of_z = h.split([h.shape[-1] - nets.class_z.shape[1], nets.class_z.shape[1]], -1)
        logits = run(nets.y, of_y.relu())
        log_q = logits.log_softmax(-1)
        entropy = -(log_q[:many].exp() * log_q[:many]).sum(-1)
        of_label = ALPHA * log_q[many:].gather(1, nets.label[:, None])[:, 0]
        pyro.factor("labels", LOG_CLASSES - torch.cat([entropy, of_label]) @ self.weight, has_rsample=True)
        if self.work.y == "enumerate":
            of_entry = (log_q[:many].exp() * self.weight[:many, None]).flatten()
            weight = torch.cat([of_entry, self.weight[many:]]) / samples
            pyro.sample("weight", dist.Delta(weight).to_event(1))
            h = every_class(of_z[None], nets.class_z, nets.label)
        else:
            noise = Fixed().gumbel(samples, many, CLASSES) if self.fixed else None
            soft = self.relaxed(logits[:many], noise)
            y = torch.cat([soft, nets.hot.expand(samples, -1, -1)], 1)
            pyro.sample("y", dist.Delta(y).to_event(3))
            weight, h = self.weight / samples, (of_z + y @ nets.class_z).relu_()
        self.drawn(run(nets.z, h), weight)

    def relaxed(self, logits: Tensor, noise: Tensor | None) -> Tensor:
        if noise is None:
            return dist.RelaxedOneHotCategorical(torch.tensor(TEMPERATURE), logits=logits).rsample((self.work.samples,))
        return ((logits + noise) / TEMPERATURE).softmax(-1)

    def model(self) -> None:
        nets, samples = self.nets, self.work.samples
        if self.work.y == "enumerate":
            weight = pyro.sample("weight", dist.ImproperUniform(dist.constraints.real, (), (len(nets.every),)))
            y, x = nets.every.expand(samples, -1, -1), self.x_entries
        else:
            shape = (samples, len(self.x), CLASSES)
            y = pyro.sample("y", dist.ImproperUniform(dist.constraints.real, (), shape))
            weight, x = self.weight / samples, self.x
        z = self.standard(len(x), nets.decoder[0].in_features - CLASSES, weight)
        self.observed(run(nets.decoder, torch.cat([y, z], -1)), x, weight)


def build(task: Task) -> Trained | None:
    """M2, y enumerated or relaxed, and the dense VAE."""
    if task.work.kind not in ("m2", "vae") or task.work.y == "sum_and_sample":
        return None
    made = M2(task) if task.work.kind == "m2" else VAE(task)
    elbo = TraceMeanField_ELBO() if task.kl == "closed" else Trace_ELBO()

    def loss() -> Tensor:
        with pyro.validation_enabled(False):
            found: Tensor = elbo.differentiable_loss(made.model, made.guide)
        return found

    def fixed() -> Tensor:
        made.fixed = True
        found = loss()
        made.fixed = False
        return found

    return Trained(made.nets.parameters(), loss, fixed, task.precision)
