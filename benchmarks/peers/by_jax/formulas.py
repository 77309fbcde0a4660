"""What the JAX steps share: layers, densities, noise, levels; arrays in, arrays out. Weights are [in, out]."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.noise import gumbel_pattern, normal_pattern
from benchmarks.works import ALPHA, CLASSES, RATE

LOG_CLASSES, HALF_LOG_2PI = math.log(CLASSES), 0.5 * math.log(2 * math.pi)
Array = Any
Params = dict[str, list[tuple[Array, Array]]]


class Noise:
    """Keys of a step, one after another."""

    def __init__(self, key: Array) -> None:
        self.key = key

    def normal(self, *size: int) -> Array:
        self.key, used = jax.random.split(self.key)
        return jax.random.normal(used, size)

    def gumbel(self, *size: int) -> Array:
        self.key, used = jax.random.split(self.key)
        return jax.random.gumbel(used, size)


class Fixed:
    """The patterns of all contestants."""

    def normal(self, samples: int, rows: int, size: int) -> Array:
        return jnp.broadcast_to(normal_pattern(samples, size)[:, None], (samples, rows, size))

    def gumbel(self, samples: int, rows: int, size: int) -> Array:
        return jnp.broadcast_to(gumbel_pattern(samples, size)[:, None], (samples, rows, size))


def dense(layer: tuple[Array, Array], h: Array, start: int = 0, stop: int | None = None) -> Array:
    """The inputs start … stop of a layer, whose bias comes with the first; weights are [in, out]."""
    weight, bias = layer
    out = h @ weight[start:stop]
    return out + bias if start == 0 else out


def run(layers: list[tuple[Array, Array]], h: Array) -> Array:
    for layer in layers[:-1]:
        h = jax.nn.relu(dense(layer, h))
    return dense(layers[-1], h)


def loc_scale(out: Array) -> tuple[Array, Array]:
    loc, raw = jnp.split(out, 2, -1)
    return loc, jax.nn.softplus(raw) + 1e-4


def bernoulli(x: Array, logits: Array) -> Array:
    return (x * logits - jax.nn.softplus(logits)).sum(-1)


def log_normal(value: Array, loc: Array, scale: Array) -> Array:
    return -(0.5 * ((value - loc) / scale) ** 2 + jnp.log(scale) + HALF_LOG_2PI).sum(-1)


def log_q_drawn(scale: Array, eps: Array) -> Array:
    return -(0.5 * eps**2 + jnp.log(scale) + HALF_LOG_2PI).sum(-1)


def minus_kl(loc: Array, scale: Array, eps: Array, kl: str) -> Array:
    if kl == "closed":
        return (0.5 * (1 - loc**2 - scale**2) + jnp.log(scale)).sum(-1)
    return (0.5 * (eps**2 - (loc + scale * eps) ** 2) + jnp.log(scale)).sum(-1)


def mean_loss(free: Array, fixed: Array) -> Array:
    return -(1 - RATE) * free.mean() - RATE * fixed.mean()


def entries(rows: Array, label: Array) -> Array:
    """Rows [S, rows, n] + every class for those without a label, the label for the last → [S, entries, n]; `label`: the values
    to add at classes, [classes, n], and at the labels, [labelled, n]."""
    table, fixed = label
    many = rows.shape[1] - len(fixed)
    free = rows[:, :many, None] + table
    return jnp.concatenate([free.reshape(len(rows), -1, rows.shape[-1]), rows[:, many:] + fixed], 1)


def lift(rows: Array, many: int) -> Array:
    """[S, rows, n] at the entries."""
    free = jnp.repeat(rows[:, :many], CLASSES, 1)
    return jnp.concatenate([free, rows[:, many:]], 1)


def weighed(bound: Array, log_q: Array) -> Array:
    log_mean = jax.nn.logsumexp(log_q, 0) - math.log(len(log_q))
    return (jax.nn.softmax(log_q, 0) * (bound - log_q)).sum(0) + (1 + ALPHA) * log_mean


def enumerated(rows: Array, found: Array, log_q: Array, label: Array, many: int) -> Array:
    """The loss from what a row has, what an entry has, and log q(y | …), all with samples in front."""
    each, fixed = found[:, : many * CLASSES].reshape(len(found), many, CLASSES), found[:, many * CLASSES :]
    free = rows[:, :many] + (jnp.exp(log_q[:, :many]) * (each - log_q[:, :many])).sum(-1)
    of_label = jnp.take_along_axis(log_q[:, many:], label[None, :, None], 2)[..., 0]
    return mean_loss(free.mean(0), weighed(rows[:, many:] + fixed, of_label))


def entries_of(table: Array, label: Array, many: int) -> Array:
    """Rows of a table by class at the entries."""
    return jnp.concatenate([jnp.tile(table, (many, 1)), table[label]])
