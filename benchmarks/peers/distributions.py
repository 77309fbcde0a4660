"""Steps as most people write them: torch.distributions, one-hot inputs, labelled and unlabelled rows apart, Adam as it comes."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, Independent, Normal, RelaxedOneHotCategorical, kl_divergence
from torch.nn import functional as F

from benchmarks.noise import Fixed, Noise
from benchmarks.peers import Layers, Task
from benchmarks.peers.trained import Trained
from benchmarks.works import ALPHA, CLASSES, RATE, TEMPERATURE


def networks(layers: Layers) -> nn.ModuleDict:
    """Linear layers, convolutions and their mirrors with ReLU between them, from their weights."""
    return nn.ModuleDict({factor: network(factor, weights) for factor, weights in layers.items()})


def network(factor: str, weights: list) -> nn.Sequential:
    """One factor's; a convolution of p is a transposed one."""
    made: list[nn.Module] = []
    for weight, bias in weights:
        if weight.ndim == 2:
            if made and isinstance(made[-2], nn.Conv2d):
                made.append(nn.Flatten())
            layer: nn.Module = nn.Linear(weight.shape[1], weight.shape[0])
        elif factor.startswith("q"):
            layer = nn.Conv2d(weight.shape[1], weight.shape[0], 4, 2, 1)
        else:
            if isinstance(made[-2], nn.Linear):
                made.append(nn.Unflatten(1, (weight.shape[0], 7, 7)))
            layer = nn.ConvTranspose2d(weight.shape[0], weight.shape[1], 4, 2, 1)
        layer.weight.data, layer.bias.data = torch.tensor(weight), torch.tensor(bias)
        made += [layer, nn.ReLU()]
    return nn.Sequential(*made[:-1])


class Model:
    """The networks, the noise (None: that of the distributions) and what every model needs."""

    def __init__(self, task: Task) -> None:
        self.task, self.nets = task, networks(task.layers)
        self.noise: Noise | None = None
        self.samples = task.work.samples
        self.x, self.y = torch.from_numpy(task.data.x), torch.from_numpy(task.data.y)

    def normal(self, name: str, *inputs: Tensor) -> Independent:
        loc, raw = self.nets[name](torch.cat(inputs, -1)).chunk(2, -1)
        return Independent(Normal(loc, F.softplus(raw) + 1e-4), 1)

    def categorical(self, name: str, *inputs: Tensor) -> Categorical:
        return Categorical(logits=self.nets[name](torch.cat(inputs, -1)))

    def log_bernoulli(self, x: Tensor, *inputs: Tensor) -> Tensor:
        logits = self.nets["p_x"](torch.cat(inputs, -1))
        return Independent(Bernoulli(logits=logits), 1).log_prob(x.expand_as(logits))

    def draw(self, q: Independent, repeats: int | None = None) -> Tensor:
        """[S, rows, n] of q over [rows]; one draw of q over [S, rows], repeats = None."""
        size = (repeats,) if repeats else ()
        if self.noise is None:
            return q.rsample(size)
        loc, scale = q.base_dist.loc, q.base_dist.scale
        shape = (*size, *loc.shape)
        return loc + scale * self.noise.normal(self.samples, math.prod(shape[1:-1]), shape[-1]).reshape(shape)

    def minus_kl(self, q: Independent, z: Tensor) -> Tensor:
        prior = Independent(Normal(torch.zeros_like(z), torch.ones_like(z)), 1)
        if self.task.kl == "closed":
            return -kl_divergence(q, Independent(Normal(torch.zeros_like(q.mean), torch.ones_like(q.mean)), 1))
        return prior.log_prob(z) - q.log_prob(z)

    def loss(self) -> Tensor:
        raise NotImplementedError


def hot(y: Tensor) -> Tensor:
    return F.one_hot(y, CLASSES).float()


def log_uniform(like: Tensor) -> Tensor:
    """log p(y), constant."""
    return Categorical(logits=torch.zeros(CLASSES)).log_prob(torch.zeros_like(like, dtype=torch.long))


class VAE(Model):
    def loss(self) -> Tensor:
        loc, raw = self.nets["q_z"](self.x).chunk(2, -1)
        q = Independent(Normal(loc, F.softplus(raw) + 1e-4), 1)
        z = self.draw(q, 1)[0]
        logits = self.nets["p_x"](z)
        log_p = Independent(Bernoulli(logits=logits), self.x.dim() - 1).log_prob(self.x)
        return -(log_p + self.minus_kl(q, z)).mean()


class Labelled(Model):
    """Rows without a label, then rows with one."""

    def loss(self) -> Tensor:
        many = self.task.work.unlabelled
        free, fixed, y = self.x[:many], self.x[many:], self.y[many:]
        return -(1 - RATE) * self.unlabelled(free).mean() - RATE * self.labelled(fixed, y).mean()

    def labelled(self, x: Tensor, y: Tensor) -> Tensor:
        raise NotImplementedError

    def unlabelled(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class M2(Labelled):
    def bound(self, x: Tensor, y: Tensor, repeats: int | None) -> Tensor:
        """log p(x, y, z) − log q(z | x, y) at one-hot or relaxed y: [rows, n] → [S, rows]."""
        q = self.normal("q_z", x, y)
        z = self.draw(q, repeats)
        log_p = self.log_bernoulli(x, y.expand(*z.shape[:-1], CLASSES), z)
        return log_p + self.minus_kl(q, z) + log_uniform(log_p)

    def labelled(self, x: Tensor, y: Tensor) -> Tensor:
        return self.bound(x, hot(y), self.samples).mean(0) + ALPHA * self.categorical("q_y", x).log_prob(y)

    def unlabelled(self, x: Tensor) -> Tensor:
        q = self.categorical("q_y", x)
        match self.task.work.y:
            case "enumerate":
                every = torch.eye(CLASSES).repeat(len(x), 1)
                each = self.bound(x.repeat_interleave(CLASSES, 0), every, self.samples).mean(0)
                return (q.probs * each.view(len(x), CLASSES)).sum(-1) + q.entropy()
            case "gumbel":
                y = self.relaxed(q)
                return self.bound(x.expand(self.samples, -1, -1), y, None).mean(0) + q.entropy()
        return self.split(x, q)

    def relaxed(self, q: Categorical) -> Tensor:
        """[S, rows, 10]."""
        if self.noise is None:
            return RelaxedOneHotCategorical(torch.tensor(TEMPERATURE), logits=q.logits).rsample((self.samples,))
        noise = self.noise.gumbel(self.samples, len(q.logits), CLASSES)
        return ((q.logits + noise) / TEMPERATURE).softmax(-1)

    def split(self, x: Tensor, q: Categorical) -> Tensor:
        """The likeliest class exactly, one of the others by sampling, with its score term (Liu et al. 2019)."""
        top = q.logits.argmax(-1)
        others = Categorical(logits=q.logits.scatter(1, top[:, None], -torch.inf).detach(), validate_args=False)
        if self.noise is None:
            other = others.sample((self.samples,))
        else:
            other = (others.logits + self.noise.gumbel(self.samples, len(x), CLASSES)).argmax(-1)
        x = x.expand(self.samples, -1, -1)
        pair = torch.cat([top.expand(self.samples, -1), other], 1)
        log_q = torch.cat([q.log_prob(top).expand(self.samples, -1), q.log_prob(other)], 1)
        f = self.bound(torch.cat([x, x], 1), hot(pair), None) - log_q
        first, rest = f.chunk(2, 1)
        of_top, of_other = log_q.chunk(2, 1)
        share = 1 - of_top.exp()
        score = (share * (rest - first)).detach() * (of_other - share.log())
        return (of_top.exp() * first + share * rest + score - score.detach()).mean(0)


class Weighed(Labelled):
    """A label that is drawn after a latent: its rows are weighed over that latent's samples."""

    def labelled(self, x: Tensor, y: Tensor) -> Tensor:
        rows, q, at = self.rows(x)
        log_q = q.log_prob(y.expand(self.samples, -1))
        bound = rows + at(hot(y).expand(self.samples, -1, -1), 1)
        log_mean = log_q.logsumexp(0) - math.log(self.samples)
        return (log_q.softmax(0) * (bound - log_q)).sum(0) + (1 + ALPHA) * log_mean

    def unlabelled(self, x: Tensor) -> Tensor:
        rows, q, at = self.rows(x)
        every = torch.eye(CLASSES).repeat(len(x), 1).expand(self.samples, -1, -1)
        each = at(every, CLASSES).view(self.samples, len(x), CLASSES)
        return (rows + (q.probs * each).sum(-1) + q.entropy()).mean(0)

    def rows(self, x: Tensor) -> tuple[Tensor, Categorical, Callable[[Tensor, int], Tensor]]:
        """What a row has whatever its label, [S, rows]; q(y | …); the rest at one-hot labels, `repeats` a row."""
        raise NotImplementedError


class M1M2(Weighed):
    def rows(self, x: Tensor) -> tuple[Tensor, Categorical, Callable[[Tensor, int], Tensor]]:
        q = self.normal("q_z1", x)
        z1 = self.draw(q, self.samples)
        log_p = self.log_bernoulli(x, z1)

        def at(y: Tensor, repeats: int) -> Tensor:
            lower = z1.repeat_interleave(repeats, 1)
            q2 = self.normal("q_z2", y, lower)
            z2 = self.draw(q2)
            return self.normal("p_z1", y, z2).log_prob(lower) + self.minus_kl(q2, z2)

        return log_p + log_uniform(log_p) - q.log_prob(z1), self.categorical("q_y", z1), at


class SDGM(Weighed):
    def rows(self, x: Tensor) -> tuple[Tensor, Categorical, Callable[[Tensor, int], Tensor]]:
        q = self.normal("q_a", x)
        a, x = self.draw(q, self.samples), x.expand(self.samples, -1, -1)

        def at(y: Tensor, repeats: int) -> Tensor:
            above, below = a.repeat_interleave(repeats, 1), x.repeat_interleave(repeats, 1)
            q_z = self.normal("q_z", below, y, above)
            z = self.draw(q_z)
            log_p = self.log_bernoulli(below, above, z, y) + self.normal("p_a", z, y).log_prob(above)
            return log_p + self.minus_kl(q_z, z)

        found = -q.log_prob(a)
        return found + log_uniform(found), self.categorical("q_y", x, a), at


MODELS = {"m2": M2, "m1m2": M1M2, "sdgm": SDGM, "vae": VAE, "conv": VAE}


def build(task: Task) -> Trained:
    """The step of a task."""
    made = MODELS[task.work.kind](task)

    def fixed() -> Tensor:
        made.noise = Fixed()
        found = made.loss()
        made.noise = None
        return found

    return Trained(made.nets.parameters(), made.loss, fixed, task.precision, fused=False)
