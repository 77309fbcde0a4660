"""SDGM by hand: a task comes in, the loss of a batch goes out; y enumerated, known labels weighed over a."""

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
    on_entries,
    positive,
    row_normal,
)
from benchmarks.peers.direct.layers import LOG_CLASSES, linear, mean_loss, run, stack, table, weighed
from benchmarks.works import CELLS, CLASSES, SKIP


class SDGM(nn.Module):
    """q(a | x), q(y | x, a), q(z | x, y, a), p(a | z, y), p(x | a, z, y): three products that read x, a and (z, y) first."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task, layers = task, task.layers
        self.x, self.label = torch.from_numpy(task.data.x), torch.from_numpy(task.data.y)[task.work.unlabelled :]
        self.every = torch.cat([torch.eye(CLASSES).repeat(task.work.unlabelled, 1), F.one_hot(self.label, CLASSES)])
        firsts = {k: layers[k][0] for k in ("q_a", "q_y", "q_z", "p_a", "p_x")}
        weight = {k: v[0] for k, v in firsts.items()}
        encoders = ("q_a", "q_y", "q_z")
        self.reads_x = linear(
            np.concatenate([weight[k][:, :CELLS] for k in encoders]), np.concatenate([firsts[k][1] for k in encoders])
        )
        of_a = [weight["q_y"][:, CELLS:], weight["q_z"][:, CELLS + CLASSES :], weight["p_x"][:, :SKIP]]
        self.reads_a = nn.Parameter(torch.tensor(np.concatenate(of_a)))
        self.reads_zy = linear(
            np.concatenate([weight["p_a"], weight["p_x"][:, SKIP:]]),
            np.concatenate([firsts["p_a"][1], firsts["p_x"][1]]),
        )
        self.class_z = table(weight["q_z"][:, CELLS : CELLS + CLASSES])
        self.a, self.y, self.z, self.p_a, self.p_x = (stack(layers[k][1:]) for k in ("q_a", "q_y", "q_z", "p_a", "p_x"))

    def loss(self, noise: Noise) -> Tensor:
        work = self.task.work
        many, samples = work.unlabelled, work.samples
        x_a, x_y, x_z = self.reads_x(self.x).chunk(3, -1)
        loc, raw = run(self.a, x_a.relu()).float().chunk(2, -1)
        scale, eps = positive(raw), noise.normal(samples, *loc.shape)
        a = drawn(loc, scale, eps)
        a_y, a_z, a_x = F.linear(a, self.reads_a).chunk(3, -1)
        log_q = run(self.y, (a_y + x_y).relu_()).float().log_softmax(-1)
        on_rows = -log_q_drawn(scale, eps) - LOG_CLASSES
        found = self.upper(every_class(a_z + x_z, self.class_z, self.label), a, a_x, noise)
        each, fixed = found.split([many * CLASSES, work.labelled], 1)
        each, of_each = each.view(samples, many, CLASSES), log_q[:, :many]
        free = on_rows[:, :many] + (of_each.exp() * (each - of_each)).sum(-1)
        of_label = log_q[:, many:].gather(2, self.label.expand(samples, -1)[..., None])[..., 0]
        return mean_loss(free.mean(0), weighed(on_rows[:, many:] + fixed, of_label))

    def upper(self, h: Tensor, a: Tensor, a_x: Tensor, noise: Noise) -> Tensor:
        """log p(a | z, y) + log p(x | a, z, y) + log p(z) − log q(z | x, y, a), [S, entries]."""
        many = self.task.work.unlabelled
        loc, raw = run(self.z, h).float().chunk(2, -1)
        scale, eps = positive(raw), noise.normal(*loc.shape)
        z = drawn(loc, scale, eps)
        of_a, of_x = self.reads_zy(torch.cat([z, self.every.expand(len(z), -1, -1)], -1)).chunk(2, -1)
        a_loc, a_raw = run(self.p_a, of_a.relu()).float().chunk(2, -1)
        logits = run(self.p_x, on_entries(of_x.contiguous(), a_x, many, CLASSES))
        log_p = bernoulli(self.x, logits, many, CLASSES) + row_normal(a, a_loc, positive(a_raw), many, CLASSES)
        return log_p + minus_kl(loc, scale, eps, z, self.task.kl)
