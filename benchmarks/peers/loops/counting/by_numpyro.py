"""The counting model in NumPyro: a loop comes in, a step goes out. Copies one by one, patches by products with weights
of rows and columns; the values of k are entries whose sites are scaled by q(k | x), and sites of copy i by q(k ≥ i | x)."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro.handlers import scale

from benchmarks.noise import gumbel_pattern
from benchmarks.peers.by_jax.formulas import Array, dense, run
from benchmarks.peers.by_jax.vae import conv
from benchmarks.peers.by_numpyro import Compiled
from benchmarks.peers.loops import Loop
from benchmarks.peers.loops.by_numpyro import Program
from benchmarks.peers.loops.counting import FROZEN, LATENTS, PATCH, TEMPERATURE


def sampled(image: Array, scale: Array, centre: Array, side: int) -> Array:
    """The image at scale · (x, y) + centre, bilinear, 0 outside: [rows, n, n] → [rows, side, side]."""
    n = image.shape[-1]
    middles = (2 * jnp.arange(side) + 1) / side - 1
    at = ((scale[..., None] * middles + centre[..., None] + 1) * n - 1) / 2
    across, down = jnp.moveaxis(jax.nn.relu(1 - jnp.abs(at[..., None] - jnp.arange(n))), 1, 0)
    return down @ image @ jnp.swapaxes(across, 1, 2)


def placed(at: Array, canvas: int) -> tuple[Array, Array]:
    return PATCH / canvas * jnp.exp(at[:, :1] / 4), jnp.tanh(at[:, 1:] / 2)


def crop(image: Array, at: Array) -> Array:
    return sampled(image, *placed(at, image.shape[-1]), PATCH)


def paste(patch: Array, at: Array, canvas: int) -> Array:
    scale, centre = placed(at, canvas)
    return sampled(patch, 1 / scale, -centre / scale, canvas)


def centre(image: Array) -> Array:
    """The middle of the cells of [rows, n, n], weighed by their values."""
    middles = (2 * jnp.arange(image.shape[-1]) + 1) / image.shape[-1] - 1
    over = jnp.stack([image.sum(1), image.sum(2)], 1) @ middles
    return 2 * jnp.arctanh(over / image.sum((1, 2))[:, None])


class Counting(Program):
    """Entries [copies or values of k, rows]."""

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self.x, self.copies = self.x[:, 0], loop.copies
        self.digit = {name: [(jnp.array(w.T), jnp.array(b)) for w, b in loop.nets[name]] for name in FROZEN}

    def maps(self, net: str, image: Array, act: Any) -> Array:
        """[rows, n, n] → [rows, height, width, channels]."""
        h = image[..., None]
        for i, (w, b) in enumerate(self.loop.nets[net]):
            weight = numpyro.param(f"{net}.{i}.w", jnp.array(w.transpose(2, 3, 1, 0)))
            h = act(conv((weight, numpyro.param(f"{net}.{i}.b", jnp.array(b))), h, 2))
        return h

    def drawn(self, name: str, loc: Array, raw: Array) -> Array:
        return numpyro.sample(name, self.family(loc, raw))

    def relaxed(self, logits: Array) -> Array:
        shape = logits.shape
        noise = gumbel_pattern(1, shape[-1]) if self.fixed else jax.random.gumbel(numpyro.prng_key(), shape)
        return jax.nn.softmax((logits + noise) / TEMPERATURE)

    def guide(self) -> None:
        h = jnp.moveaxis(self.maps("h", self.x, jax.nn.relu), -1, 1).reshape(len(self.x), -1)
        log_q = jax.nn.log_softmax(run(self.layers("q_k"), h)).T
        share = numpyro.sample("share", dist.Delta(jnp.exp(log_q), event_dim=2))
        numpyro.factor("k", (share * log_q).sum() + len(self.x) * math.log(self.copies))
        alive = share[::-1].cumsum(0)[::-1]
        done, canvases = jnp.zeros_like(self.x), []
        for i in range(self.copies):
            with scale(scale=alive[i]):
                done = done + self.copy(i, jnp.clip(self.x - done, 0, 1))
            canvases.append(done)
        numpyro.sample("canvases", dist.Delta(jnp.stack(canvases), event_dim=4))

    def copy(self, i: int, left: Array) -> Array:
        """What one copy paints; `left`: what is not painted yet."""
        rough = centre(jnp.exp(6 * self.maps("rough", left, jnp.tanh)[..., 0]))
        first = crop(left, jnp.pad(rough, ((0, 0), (1, 0)))).reshape(len(left), -1)
        near = jax.nn.relu(run(self.layers("near"), first))
        size = self.drawn(f"size_{i}", *jnp.split(run(self.layers("q_size"), near), 2, -1))
        of_loc, of_scale = self.layers("q_place")
        raw = dense(of_scale, jnp.concatenate([rough, near], -1))
        place = self.drawn(f"place_{i}", rough + dense(of_loc, near), raw)
        at = jnp.concatenate([jnp.tanh(size) - 1, place], -1)
        seen = crop(left, at).reshape(len(left), -1)
        log_q = jax.nn.log_softmax(run(self.digit["q_y"], seen))
        numpyro.factor(f"y_{i}", (jnp.exp(log_q) * log_q).sum(-1) + math.log(log_q.shape[-1]))
        y = self.relaxed(log_q)
        z = self.drawn(f"z_{i}", *jnp.split(run(self.digit["q_z"], jnp.concatenate([seen, y], -1)), 2, -1))
        patch = jax.nn.sigmoid(run(self.digit["p_x"], jnp.concatenate([y, z], -1)))
        return paste(patch.reshape(-1, PATCH, PATCH), at, left.shape[-1])

    def model(self) -> None:
        rows, *canvas = self.x.shape
        share = numpyro.sample("share", dist.ImproperUniform(dist.constraints.real, (), (self.copies, rows)))
        alive = share[::-1].cumsum(0)[::-1]
        for i in range(self.copies):
            with scale(scale=alive[i]):
                for name, size in LATENTS.items():
                    numpyro.sample(f"{name}_{i}", dist.Normal(jnp.zeros((rows, size)), 1.0).to_event(1))
        done = numpyro.sample("canvases", dist.ImproperUniform(dist.constraints.real, (), (self.copies, rows, *canvas)))
        with scale(scale=share):
            family = dist.Bernoulli(0.02 + 0.96 * jnp.clip(done, 0, 1)).to_event(2)
            numpyro.sample("x", family, obs=jnp.broadcast_to(self.x, done.shape))


def build(loop: Loop) -> Compiled:
    """The loss is the negative bound of all rows together."""
    return Compiled(Counting(loop), "sampled")
