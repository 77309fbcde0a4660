"""A sequence and a plate in NumPyro: a loop comes in, a step goes out. A sequence is a scan on both sides, with what needs no
order outside; the classes of a plate are entries whose sites are scaled by q(c | x)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro.contrib.control_flow import scan
from numpyro.handlers import scale

from benchmarks.noise import normal_pattern
from benchmarks.peers.by_jax.formulas import Array, run
from benchmarks.peers.by_numpyro import Compiled
from benchmarks.peers.loops import CLASSES, FLOOR, Loop


class FixedNormal(dist.Normal):
    """Draws the pattern of all contestants in every entry."""

    def sample(self, key: Array | None, sample_shape: tuple[int, ...] = ()) -> Array:
        return self.loc + self.scale * normal_pattern(1, self.loc.shape[-1])[0]


class Program:
    """The networks, weights [in, out]."""

    def __init__(self, loop: Loop) -> None:
        self.loop, self.fixed, self.x = loop, False, jnp.array(loop.x)

    def layers(self, net: str) -> list[tuple[Array, Array]]:
        """To be asked for outside of scans."""
        return [
            (numpyro.param(f"{net}.{i}.w", jnp.array(w.T)), numpyro.param(f"{net}.{i}.b", jnp.array(b)))
            for i, (w, b) in enumerate(self.loop.nets[net])
        ]

    def family(self, loc: Array, raw: Array, floor: float = FLOOR["z"]) -> Any:
        return (FixedNormal if self.fixed else dist.Normal)(loc, jax.nn.softplus(raw) + floor).to_event(1)

    def normal(self, net: str, floor: float = FLOOR["z"]) -> Callable[[Array], Any]:
        layers = self.layers(net)
        return lambda h: self.family(*jnp.split(run(layers, h), 2, -1), floor)


class Sequence(Program):
    """q reads the last state of a GRU, which is another scan."""

    def state(self) -> Array:
        """torch's GRU: gates reset, update, new."""
        of_x, of_h, bias_x, bias_h = (numpyro.param(f"gru.{i}", jnp.array(v)) for i, v in enumerate(self.loop.gru))
        inputs = jnp.swapaxes(self.x @ of_x.T + bias_x, 0, 1)

        def step(h: Array, gates: Array) -> tuple[Array, None]:
            own = h @ of_h.T + bias_h
            (r, u, n), (r_h, u_h, n_h) = jnp.split(gates, 3, -1), jnp.split(own, 3, -1)
            update = jax.nn.sigmoid(u + u_h)
            return (1 - update) * jnp.tanh(n + jax.nn.sigmoid(r + r_h) * n_h) + update * h, None

        return jax.lax.scan(step, jnp.zeros((len(self.x), of_h.shape[1])), inputs)[0]

    def guide(self) -> None:
        state, following = self.state(), self.normal("q_z_next")

        def step(z: Array, _: None) -> tuple[Array, Array]:
            z = numpyro.sample("z", following(jnp.concatenate([z, state], -1)))
            return z, z

        scan(step, numpyro.sample("z_1", self.normal("q_z_first")(state)), None, length=self.loop.copies - 1)

    def model(self) -> None:
        following, size = self.normal("p_z_next"), self.loop.nets["p_z_next"][0][0].shape[1]

        def step(z: Array, _: None) -> tuple[Array, Array]:
            z = numpyro.sample("z", following(z))
            return z, z

        first = numpyro.sample("z_1", dist.Normal(jnp.zeros((len(self.x), size)), 1.0).to_event(1))
        later = scan(step, first, None, length=self.loop.copies - 1)[1]
        z = jnp.swapaxes(jnp.concatenate([first[None], later]), 0, 1)
        numpyro.sample("x", self.normal("p_x", FLOOR["x"])(z), obs=self.x)


class Plate(Program):
    """Entries [classes, rows, copies]."""

    def beside(self, first: Array) -> Array:
        hot = jnp.broadcast_to(jnp.eye(CLASSES)[:, None, None], (CLASSES, *first.shape[-3:-1], CLASSES))
        return jnp.concatenate([jnp.broadcast_to(first, (*hot.shape[:-1], first.shape[-1])), hot], -1)

    def guide(self) -> None:
        log_q = jnp.moveaxis(jax.nn.log_softmax(run(self.layers("q_c"), self.x)), -1, 0)
        share = numpyro.sample("share", dist.Delta(jnp.exp(log_q), event_dim=3))
        with scale(scale=share):
            numpyro.sample("z", self.normal("q_z")(self.beside(self.x)))
        log_p = jax.nn.log_softmax(numpyro.param("prior", jnp.array(self.loop.prior)))
        numpyro.factor("labels", -(share * (log_p[:, None, None] - log_q)).sum())

    def model(self) -> None:
        rows, copies, _ = self.x.shape
        share = numpyro.sample("share", dist.ImproperUniform(dist.constraints.real, (), (CLASSES, rows, copies)))
        with scale(scale=share):
            z = numpyro.sample("z", dist.Normal(jnp.zeros((CLASSES, rows, copies, 2)), 1.0).to_event(1))
            numpyro.sample("x", self.normal("p_x", FLOOR["x"])(self.beside(z)), obs=self.x)


def build(loop: Loop) -> Compiled:
    """The loss is the negative bound of all rows together."""
    return Compiled(Sequence(loop) if loop.kind == "sequence" else Plate(loop), "sampled")
