"""M1+M2 by hand: a task comes in, the loss of a batch goes out; y enumerated, known labels weighed over z1."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.noise import Noise
from benchmarks.peers import Task
from benchmarks.peers.direct.formulas import (
    bernoulli,
    drawn,
    every_class,
    log_q_drawn,
    minus_kl,
    positive,
    row_normal,
)
from benchmarks.peers.direct.layers import LOG_CLASSES, linear, mean_loss, run, stack, table, weighed
from benchmarks.works import CLASSES


class M1M2(nn.Module):
    """q(z1 | x), q(y | z1), q(z2 | y, z1), p(z1 | y, z2), p(x | z1); what reads z1 first is one product."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task, layers = task, task.layers
        self.x, self.label = torch.from_numpy(task.data.x), torch.from_numpy(task.data.y)[task.work.unlabelled :]
        self.every = torch.cat([torch.eye(CLASSES).repeat(task.work.unlabelled, 1), F.one_hot(self.label, CLASSES)])
        (of_y, bias_y), *rest_y = layers["q_y"]
        (of_z, bias_z), *rest_z = layers["q_z2"]
        (of_x, bias_x), *rest_x = layers["p_x"]
        self.reads_z1 = linear(
            np.concatenate([of_y, of_z[:, CLASSES:], of_x]), np.concatenate([bias_y, bias_z, bias_x])
        )
        self.widths = [len(bias_y), len(bias_z), len(bias_x)]
        self.class_z = table(of_z[:, :CLASSES])
        self.z1, self.y, self.z2, self.x_rest = (stack(v) for v in (layers["q_z1"], rest_y, rest_z, rest_x))
        self.p_z1 = stack(layers["p_z1"])

    def loss(self, noise: Noise) -> Tensor:
        work = self.task.work
        many, samples = work.unlabelled, work.samples
        loc, raw = run(self.z1, self.x).float().chunk(2, -1)
        scale, eps = positive(raw), noise.normal(samples, *loc.shape)
        z1 = drawn(loc, scale, eps)
        of_y, of_z, of_x = self.reads_z1(z1).split(self.widths, -1)
        log_q = run(self.y, of_y.relu()).float().log_softmax(-1)
        on_rows = bernoulli(self.x, run(self.x_rest, of_x.relu())) - log_q_drawn(scale, eps) - LOG_CLASSES
        on_entries = self.upper(every_class(of_z, self.class_z, self.label), z1, noise)
        each, fixed = on_entries.split([many * CLASSES, work.labelled], 1)
        each, of_each = each.view(samples, many, CLASSES), log_q[:, :many]
        free = on_rows[:, :many] + (of_each.exp() * (each - of_each)).sum(-1)
        of_label = log_q[:, many:].gather(2, self.label.expand(samples, -1)[..., None])[..., 0]
        return mean_loss(free.mean(0), weighed(on_rows[:, many:] + fixed, of_label))

    def upper(self, h: Tensor, z1: Tensor, noise: Noise) -> Tensor:
        """log p(z1 | y, z2) + log p(z2) − log q(z2 | y, z1), [S, entries]."""
        loc, raw = run(self.z2, h).float().chunk(2, -1)
        scale, eps = positive(raw), noise.normal(*loc.shape)
        z2 = drawn(loc, scale, eps)
        of_z1, raw = run(self.p_z1, torch.cat([self.every.expand(len(z2), -1, -1), z2], -1)).float().chunk(2, -1)
        many = self.task.work.unlabelled
        return row_normal(z1, of_z1, positive(raw), many, CLASSES) + minus_kl(loc, scale, eps, z2, self.task.kl)
