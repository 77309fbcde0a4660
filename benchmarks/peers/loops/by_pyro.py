"""A sequence and a plate in Pyro: a loop comes in, a step goes out. Sites of a sequence one by one, as in its deep Markov model;
densities that need no order at once; classes of a plate enumerated in parallel; no validation, fused Adam."""

from __future__ import annotations

from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import Trace_ELBO, TraceEnum_ELBO
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.noise import normal_pattern
from benchmarks.peers.direct.layers import run, stack
from benchmarks.peers.loops import CLASSES, FLOOR, Loop
from benchmarks.peers.trained import Trained


class FixedNormal(dist.Normal):
    """Draws the pattern of all contestants in every entry."""

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.loc + self.scale * torch.from_numpy(normal_pattern(1, self.loc.shape[-1]))[0]


class Sequence(nn.Module):
    """q reads the last state of a GRU."""

    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self.x, self.fixed, self.last = torch.from_numpy(loop.x), False, loop.copies
        self.nets = nn.ModuleDict({name: stack(layers) for name, layers in loop.nets.items()})
        self.gru = nn.GRU(loop.x.shape[-1], loop.gru[1].shape[1], batch_first=True)
        for parameter, value in zip(self.gru.parameters(), loop.gru, strict=True):
            parameter.data = torch.tensor(value)
        self.rows = pyro.plate("rows", len(self.x), dim=-1)

    def normal(self, net: str, h: Tensor, floor: float = FLOOR["z"]) -> Any:
        nets: Any = self.nets[net]
        loc, raw = run(nets, h).chunk(2, -1)
        return (FixedNormal if self.fixed else dist.Normal)(loc, F.softplus(raw) + floor).to_event(1)

    def guide(self) -> None:
        state = self.gru(self.x)[1][0]
        with self.rows:
            z = pyro.sample("z_1", self.normal("q_z_first", state))
            for t in range(2, self.last + 1):
                z = pyro.sample(f"z_{t}", self.normal("q_z_next", torch.cat([z, state], -1)))

    def model(self) -> None:
        with self.rows:
            zero = torch.zeros(len(self.x), self.nets["p_z_next"][0].in_features)
            z = [pyro.sample("z_1", dist.Normal(zero, 1.0).to_event(1))]
            for t in range(2, self.last + 1):
                z.append(pyro.sample(f"z_{t}", self.normal("p_z_next", z[-1])))
            pyro.sample("x", self.normal("p_x", torch.stack(z, 1), FLOOR["x"]).to_event(1), obs=self.x)


class Plate(nn.Module):
    """c is enumerated in front of rows and copies."""

    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self.x, self.fixed = torch.from_numpy(loop.x), False
        self.nets = nn.ModuleDict({name: stack(layers) for name, layers in loop.nets.items()})
        self.prior = nn.Parameter(torch.tensor(loop.prior))
        self.rows, self.copies = pyro.plate("rows", len(loop.x), dim=-2), pyro.plate("copies", loop.copies, dim=-1)

    def normal(self, net: str, first: Tensor, c: Tensor, classes_first: bool, floor: float) -> Any:
        nets: Any = self.nets[net]
        hot = F.one_hot(c, CLASSES).to(first.dtype)
        lead = torch.broadcast_shapes(first.shape[:-1], hot.shape[:-1])
        parts = [v.expand(*lead, -1) for v in ((hot, first) if classes_first else (first, hot))]
        loc, raw = run(nets, torch.cat(parts, -1)).chunk(2, -1)
        return (FixedNormal if self.fixed else dist.Normal)(loc, F.softplus(raw) + floor).to_event(1)

    def guide(self) -> None:
        nets: Any = self.nets["q_c"]
        with self.rows, self.copies:
            c = pyro.sample("c", dist.Categorical(logits=run(nets, self.x)), infer={"enumerate": "parallel"})
            pyro.sample("z", self.normal("q_z", self.x, c, False, FLOOR["z"]))

    def model(self) -> None:
        with self.rows, self.copies:
            c = pyro.sample("c", dist.Categorical(logits=self.prior))
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", self.normal("p_x", z, c, False, FLOOR["x"]), obs=self.x)


def trained(made: Any, elbo: Any) -> Trained:
    """Of a module with a model and a guide, `made.fixed`: draw the patterns."""

    def loss() -> Tensor:
        with pyro.validation_enabled(False):
            found: Tensor = elbo.differentiable_loss(made.model, made.guide)
        return found

    def fixed() -> Tensor:
        made.fixed = True
        found = loss()
        made.fixed = False
        return found

    return Trained(made.parameters(), loss, fixed)


def build(loop: Loop) -> Trained:
    """The loss is the negative bound of all rows together."""
    if loop.kind == "sequence":
        return trained(Sequence(loop), Trace_ELBO())
    return trained(Plate(loop), TraceEnum_ELBO(max_plate_nesting=2))
