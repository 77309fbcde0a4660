"""The counting model in Pyro: a loop comes in, a step goes out. Copies one by one, as in its Attend-Infer-Repeat, patches by
grid_sample; k enumerated in parallel, and copies beyond it masked."""

from __future__ import annotations

import math
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import TraceEnum_ELBO
from pyro.poutine import mask
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.noise import gumbel_pattern
from benchmarks.peers.direct.layers import run, stack
from benchmarks.peers.loops import FLOOR, Layers, Loop
from benchmarks.peers.loops.by_pyro import FixedNormal, trained
from benchmarks.peers.loops.counting import FROZEN, LATENTS, PATCH, TEMPERATURE
from benchmarks.peers.trained import Trained


def convolutions(layers: Layers, act: type[nn.Module]) -> nn.Sequential:
    """Kernel 4, stride 2, padding 1, each with the activation behind it."""
    found = nn.Sequential()
    for weight, bias in layers:
        conv = nn.Conv2d(weight.shape[1], weight.shape[0], 4, 2, 1)
        conv.weight.data, conv.bias.data = torch.tensor(weight), torch.tensor(bias)
        found.extend([conv, act()])
    return found


def sampled(image: Tensor, scale: Tensor, centre: Tensor, side: int) -> Tensor:
    """The image at scale · (x, y) + centre: [rows, 1, h, w] → [rows, 1, side, side]."""
    theta = torch.cat([torch.eye(2) * scale[..., None], centre[..., None]], -1)
    grid = F.affine_grid(theta, [len(image), 1, side, side], align_corners=False)
    return F.grid_sample(image, grid, align_corners=False)


def placed(at: Tensor, canvas: int) -> tuple[Tensor, Tensor]:
    return PATCH / canvas * (at[:, :1] / 4).exp(), (at[:, 1:] / 2).tanh()


def crop(image: Tensor, at: Tensor) -> Tensor:
    return sampled(image, *placed(at, image.shape[-1]), PATCH)


def paste(patch: Tensor, at: Tensor, canvas: int) -> Tensor:
    scale, centre = placed(at, canvas)
    return sampled(patch, 1 / scale, -centre / scale, canvas)


def centre(image: Tensor) -> Tensor:
    """The middle of the cells of [rows, 1, n, n], weighed by their values."""
    middles = (2 * torch.arange(image.shape[-1]) + 1) / image.shape[-1] - 1
    over = torch.stack([image.sum((1, 2)), image.sum((1, 3))], 1) @ middles
    return 2 * (over / image.sum((1, 2, 3))[:, None]).atanh()


class Counting(nn.Module):
    """k from 0: how many copies there are beside the first."""

    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self.x, self.fixed, self.copies = torch.from_numpy(loop.x), False, loop.copies
        acts = {"h": nn.ReLU, "rough": nn.Tanh}
        self.maps = nn.ModuleDict({name: convolutions(loop.nets[name], act) for name, act in acts.items()})
        self.nets = nn.ModuleDict({name: stack(layers) for name, layers in loop.nets.items() if name not in acts})
        for name in FROZEN:
            self.nets[name].requires_grad_(False)
        self.rows = pyro.plate("rows", len(self.x), dim=-1)

    def net(self, name: str, *parents: Tensor) -> Tensor:
        nets: Any = self.nets[name]
        return run(nets, torch.cat([p.flatten(1) for p in parents], 1))

    def normal(self, loc: Tensor, raw: Tensor) -> Any:
        return (FixedNormal if self.fixed else dist.Normal)(loc, F.softplus(raw) + FLOOR["z"]).to_event(1)

    def relaxed(self, logits: Tensor) -> Tensor:
        if self.fixed:
            return ((logits + torch.from_numpy(gumbel_pattern(1, logits.shape[-1]))) / TEMPERATURE).softmax(-1)
        return dist.RelaxedOneHotCategorical(torch.tensor(TEMPERATURE), logits=logits).rsample()

    def guide(self) -> None:
        done, self.canvases = torch.zeros_like(self.x), []
        with self.rows:
            logits = self.net("q_k", self.maps["h"](self.x))
            k = pyro.sample("k", dist.Categorical(logits=logits), infer={"enumerate": "parallel"})
            for i in range(self.copies):
                with mask(mask=k >= i):
                    done = done + self.copy(i, (self.x - done).clamp(0, 1))
                self.canvases.append(done)

    def copy(self, i: int, left: Tensor) -> Tensor:
        """What one copy paints; `left`: what is not painted yet."""
        rough = centre((6 * self.maps["rough"](left)).exp())
        near = self.net("near", crop(left, F.pad(rough, (1, 0)))).relu()
        size = pyro.sample(f"size_{i}", self.normal(*self.net("q_size", near).chunk(2, -1)))
        of_loc, of_scale = self.nets["q_place"]
        q_place = self.normal(rough + of_loc(near), of_scale(torch.cat([rough, near], -1)))
        at = torch.cat([size.tanh() - 1, pyro.sample(f"place_{i}", q_place)], -1)
        seen = crop(left, at)
        log_q = self.net("q_y", seen).log_softmax(-1)
        kl = (log_q.exp() * log_q).sum(-1) + math.log(log_q.shape[-1])
        pyro.factor(f"y_{i}", kl, has_rsample=True)
        y = self.relaxed(log_q)
        z = pyro.sample(f"z_{i}", self.normal(*self.net("q_z", seen, y).chunk(2, -1)))
        return paste(self.net("p_x", y, z).sigmoid().view(-1, 1, PATCH, PATCH), at, left.shape[-1])

    def model(self) -> None:
        with self.rows:
            k = pyro.sample("k", dist.Categorical(logits=torch.zeros(self.copies)))
            for i in range(self.copies):
                with mask(mask=k >= i):
                    for name, size in LATENTS.items():
                        pyro.sample(f"{name}_{i}", dist.Normal(torch.zeros(size), 1.0).to_event(1))
            canvas = torch.stack(self.canvases)  # k is enumerated in front of the rows
            pyro.sample("x", dist.Bernoulli(0.02 + 0.96 * canvas.clamp(0, 1)).to_event(3), obs=self.x)


def build(loop: Loop) -> Trained:
    """The loss is the negative bound of all rows together."""
    return trained(Counting(loop), TraceEnum_ELBO(max_plate_nesting=1))
