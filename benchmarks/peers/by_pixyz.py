"""Pixyz: distributions with networks, losses composed of them; a task comes in, a step goes out.

It has no enumeration and no split of classes; y is relaxed, and its entropy is that of a Categorical with the same network.
"""

from __future__ import annotations

from typing import Any

import torch
from pixyz import distributions as dist
from pixyz.losses import Entropy, Expectation, KullbackLeibler, LogProb
from torch import Tensor
from torch.nn import functional as F

from benchmarks.noise import Fixed
from benchmarks.peers import Task
from benchmarks.peers.direct.layers import LOG_CLASSES, mean_loss
from benchmarks.peers.distributions import networks
from benchmarks.peers.trained import Trained
from benchmarks.works import ALPHA, CLASSES, TEMPERATURE


class Encoder(dist.Normal):
    """q(z | …)."""

    def __init__(self, net: torch.nn.Module, given: list[str]) -> None:
        super().__init__(var=["z"], cond_var=given, name="q")
        self.net, self.given, self.fixed = net, given, False

    def forward(self, **values: Tensor) -> dict[str, Tensor]:
        inputs = [values[n] for n in self.given]
        loc, raw = self.net(torch.cat(inputs, -1) if len(inputs) > 1 else inputs[0]).chunk(2, -1)
        return {"loc": loc, "scale": F.softplus(raw) + 1e-4}

    def get_sample(self, reparam: bool = False, sample_shape: Any = ()) -> dict[str, Tensor]:
        if not self.fixed:
            return super().get_sample(reparam, sample_shape)
        loc, scale = self.dist.loc, self.dist.scale
        return {"z": loc + scale * Fixed().normal(1, 1, loc.shape[-1])[0]}


class Decoder(dist.Bernoulli):
    """p(x | …)."""

    def __init__(self, net: torch.nn.Module, given: list[str]) -> None:
        super().__init__(var=["x"], cond_var=given, name="p")
        self.net, self.given = net, given

    def forward(self, **values: Tensor) -> dict[str, Tensor]:
        return {"probs": self.net(torch.cat([values[n] for n in self.given], -1)).sigmoid()}


class Classifier(dist.Categorical):
    """q(y | x)."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__(var=["y"], cond_var=["x"], name="q")
        self.net = net

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"probs": self.net(x).softmax(-1)}


class Relaxed(dist.RelaxedCategorical):
    """q(y | x), drawn relaxed."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__(var=["y"], cond_var=["x"], name="q", temperature=torch.tensor(TEMPERATURE))
        self.net, self.fixed = net, False

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"probs": self.net(x).softmax(-1)}

    def get_sample(self, reparam: bool = False, sample_shape: Any = ()) -> dict[str, Tensor]:
        if not self.fixed:
            return super().get_sample(reparam, sample_shape)
        logits = self.dist.logits
        return {"y": ((logits + Fixed().gumbel(1, len(logits), CLASSES)[0]) / TEMPERATURE).softmax(-1)}


class Model:
    """The losses of a task, each a value a row."""

    def __init__(self, task: Task) -> None:
        self.nets, self.work = networks(task.layers), task.work
        given = ["y"] if task.work.y else []
        size = self.nets["q_z"][-1].out_features // 2
        prior = dist.Normal(loc=torch.tensor(0.0), scale=torch.tensor(1.0), var=["z"], features_shape=[size], name="p")
        self.encoder, decoder = Encoder(self.nets["q_z"], ["x", *given]), Decoder(self.nets["p_x"], [*given, "z"])
        if task.kl == "closed":
            bound = Expectation(self.encoder, LogProb(decoder)) - KullbackLeibler(self.encoder, prior)
        else:
            bound = Expectation(self.encoder, LogProb(decoder) + LogProb(prior) - LogProb(self.encoder))
        self.bound, self.drawn = bound, [self.encoder]
        self.x = torch.from_numpy(task.data.x)
        if task.work.y:
            self.y = F.one_hot(torch.from_numpy(task.data.y), CLASSES).float()
            relaxed, classifier = Relaxed(self.nets["q_y"]), Classifier(self.nets["q_y"])
            self.drawn.append(relaxed)
            self.free = Expectation(relaxed, bound) + Entropy(classifier)
            self.fixed = bound + ALPHA * LogProb(classifier)

    def loss(self) -> Tensor:
        """Slices are new tensors in every step: Pixyz remembers parameters by the tensors they came from."""
        if not self.work.y:
            return -self.bound.eval({"x": self.x[:]}).mean()
        many = self.work.unlabelled
        free = self.free.eval({"x": self.x[:many]})
        fixed = self.fixed.eval({"x": self.x[many:], "y": self.y[many:]})
        return mean_loss(free - LOG_CLASSES, fixed - LOG_CLASSES)


def build(task: Task) -> Trained | None:
    """M2 with y relaxed and the dense VAE, one sample."""
    if task.work.samples > 1 or task.work.kind not in ("m2", "vae") or task.work.y not in ("", "gumbel"):
        return None
    made = Model(task)

    def fixed() -> Tensor:
        for q in made.drawn:
            q.fixed = True
        found = made.loss()
        for q in made.drawn:
            q.fixed = False
        return found

    return Trained(made.nets.parameters(), made.loss, fixed, task.precision, fused=False)
