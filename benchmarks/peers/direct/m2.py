"""M2 by hand: a task comes in, the loss of a batch goes out; y is relaxed, enumerated or sum-and-sample."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.noise import Noise
from benchmarks.peers import Task
from benchmarks.peers.direct.formulas import bernoulli, drawn, every_class, minus_kl, positive
from benchmarks.peers.direct.layers import LOG_CLASSES, linear, mean_loss, run, stack, table
from benchmarks.works import ALPHA, CELLS, CLASSES, TEMPERATURE


class M2(nn.Module):
    """q(y | x), q(z | x, y), p(x | y, z), y relaxed, enumerated or sum-and-sample."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        self.x, self.label = torch.from_numpy(task.data.x), torch.from_numpy(task.data.y)[task.work.unlabelled :]
        many = task.work.unlabelled
        self.hot = F.one_hot(self.label, CLASSES).float()
        self.every = torch.cat([torch.eye(CLASSES).repeat(many, 1), self.hot])
        self.twice = torch.cat([self.x, self.x[:many]])
        self.free, self.fixed = slice(0, many), slice(many, None)
        if task.work.y == "gumbel":
            self.x = torch.cat([self.x[many:], self.x[:many]])
            self.free, self.fixed = slice(len(self.label), None), slice(0, len(self.label))
        (of_y, bias_y), *rest_y = task.layers["q_y"]
        (of_z, bias_z), *rest_z = task.layers["q_z"]
        self.first = linear(np.concatenate([of_y, of_z[:, :CELLS]]), np.concatenate([bias_y, bias_z]))
        self.class_z = table(of_z[:, CELLS:])
        self.y, self.z, self.decoder = stack(rest_y), stack(rest_z), stack(task.layers["p_x"])

    def loss(self, noise: Noise) -> Tensor:
        h = self.first(self.x)
        of_y, of_z = h.split([h.shape[-1] - self.class_z.shape[1], self.class_z.shape[1]], -1)
        logits = run(self.y, of_y.relu()).float()
        log_q = logits.log_softmax(-1)
        labelled = ALPHA * log_q[self.fixed].gather(1, self.label[:, None])[:, 0]
        match self.task.work.y:
            case "gumbel":
                return self.relaxed(logits, log_q, of_z, noise, labelled)
            case "enumerate":
                return self.enumerated(log_q, of_z, noise, labelled)
            case "sum_and_sample":
                return self.split(logits, log_q, of_z, noise, labelled)
        raise ValueError(self.task.work.y)

    def decode(self, loc: Tensor, scale: Tensor, noise: Tensor, hot: Tensor, layout: tuple[Tensor, int, int]) -> Tensor:
        """log p(x | y, z) + log p(z) − log q(z | x, y) at z = loc + scale · noise, [S, entries]; `layout`: x, and how its rows
        lie among the entries."""
        z = drawn(loc, scale, noise)
        logits = run(self.decoder, torch.cat([hot.expand(*z.shape[:2], -1), z], -1))
        return bernoulli(layout[0], logits, *layout[1:]) + minus_kl(loc, scale, noise, z, self.task.kl)

    def encode(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """loc and scale of q(z | x, y) from the first layer's output."""
        loc, raw = run(self.z, h).float().chunk(2, -1)
        return loc, positive(raw)

    def enumerated(self, log_q: Tensor, of_z: Tensor, noise: Noise, labelled: Tensor) -> Tensor:
        many = self.task.work.unlabelled
        loc, scale = self.encode(every_class(of_z[None], self.class_z, self.label))
        eps = noise.normal(self.task.work.samples, *loc.shape[1:])
        found = self.decode(loc, scale, eps, self.every, (self.x, many, CLASSES)).mean(0) - LOG_CLASSES
        each, log_q = found[: many * CLASSES].view(many, CLASSES), log_q[:many]
        return mean_loss((log_q.exp() * (each - log_q)).sum(-1), found[many * CLASSES :] + labelled)

    def relaxed(self, logits: Tensor, log_q: Tensor, of_z: Tensor, noise: Noise, labelled: Tensor) -> Tensor:
        """Labelled rows come first, and are encoded once for all samples."""
        many, samples, log_q = self.task.work.unlabelled, self.task.work.samples, log_q[self.free]
        soft = ((logits[self.free] + noise.gumbel(samples, many, CLASSES)) / TEMPERATURE).softmax(-1)
        hot = torch.cat([self.hot.expand(samples, -1, -1), soft], 1)
        if samples == 1:
            h = torch.addmm(of_z, hot[0], self.class_z)
        else:
            free = of_z[self.free] + (soft @ self.class_z).to(of_z.dtype)
            h = torch.cat([of_z[self.fixed] + self.class_z[self.label].to(of_z.dtype), free.flatten(0, 1)])
        loc, scale = (self.samples_of(v) for v in self.encode(h.relu_()))
        eps = noise.normal(samples, self.task.work.rows, loc.shape[-1])
        found = self.decode(loc, scale, eps, hot, (self.x, 0, 1)).mean(0) - LOG_CLASSES
        fixed, free = found.split([len(found) - many, many])
        return mean_loss(free - (log_q.exp() * log_q).sum(-1), fixed + labelled)

    def split(self, logits: Tensor, log_q: Tensor, of_z: Tensor, noise: Noise, labelled: Tensor) -> Tensor:
        """The likeliest class exactly and one of the others by sampling, with its score term; labels and likeliest classes are
        encoded once for all samples."""
        many, samples, log_q = self.task.work.unlabelled, self.task.work.samples, log_q[: self.task.work.unlabelled]
        top = logits[:many].argmax(-1)
        others = log_q.scatter(1, top[:, None], -torch.inf)
        log_rest = others.logsumexp(-1)
        other = (others.detach() + noise.gumbel(samples, many, CLASSES)).argmax(-1)  # [S, many]
        once = torch.cat([top, self.label])
        classes = torch.cat([once, other.flatten()])
        part = torch.cat([of_z, of_z[:many].expand(samples, -1, -1).flatten(0, 1)])
        h = (part + F.embedding(classes, self.class_z).to(part.dtype)).relu_()
        loc, scale = (self.samples_of(v) for v in self.encode(h))
        hot = F.one_hot(torch.cat([once.expand(samples, -1), other], 1), CLASSES).to(loc.dtype)
        eps = noise.normal(samples, *loc.shape[1:])
        found = self.decode(loc, scale, eps, hot, (self.twice, 0, 1)) - LOG_CLASSES
        first, fixed, rest = found.split([many, len(self.label), many], 1)
        of_top, of_other = log_q.gather(1, top[:, None])[:, 0], log_q.gather(1, other.t()).t()
        first, rest, share = first - of_top, rest - of_other, log_rest.exp()
        score = (share * (rest - first)).detach() * (of_other - log_rest)
        free = of_top.exp() * first + share * rest + score - score.detach()
        return mean_loss(free, fixed.mean(0) + labelled)

    def samples_of(self, value: Tensor) -> Tensor:
        """[rows encoded once, then S times the others, n] → [S, entries, n]."""
        samples = self.task.work.samples
        if samples == 1:
            return value[None]
        once, others = value.split([len(value) - (n := samples * self.task.work.unlabelled), n])
        return torch.cat([once.expand(samples, -1, -1), others.view(samples, -1, value.shape[-1])], 1)
