"""M2 in JAX: parameters, batch and noise come in, the loss goes out."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.peers.by_jax.formulas import (
    LOG_CLASSES,
    Array,
    Params,
    bernoulli,
    entries,
    lift,
    loc_scale,
    mean_loss,
    minus_kl,
    run,
)
from benchmarks.works import ALPHA, CELLS, CLASSES, TEMPERATURE, Work


def m2(p: Params, x: Array, label: Array, noise: Any, kl: str, work: Work) -> Array:
    many, samples = work.unlabelled, work.samples
    (of_y, bias_y), (of_z, bias_z) = p["q_y"][0], p["q_z"][0]
    joint = x @ jnp.concatenate([of_y, of_z[:CELLS]], 1) + jnp.concatenate([bias_y, bias_z])
    of_y, table, of_z = joint[:, : len(bias_y)], of_z[CELLS:], joint[:, len(bias_y) :]
    logits = run(p["q_y"][1:], jax.nn.relu(of_y))
    log_q = jax.nn.log_softmax(logits)
    hot = jax.nn.one_hot(label, CLASSES)
    of_label = ALPHA * jnp.take_along_axis(log_q[many:], label[:, None], 1)[:, 0]

    def bound(h: Array, y: Array, x: Array, repeated: int = 0) -> Array:
        """`repeated`: how many of the last rows of h are samples of the same rows, one sample after another."""
        loc, scale = (samples_of(v, samples, repeated) for v in loc_scale(run(p["q_z"][1:], jax.nn.relu(h))))
        eps = noise.normal(samples, *loc.shape[1:])
        z = loc + scale * eps
        weight, bias = p["p_x"][0]
        first = y @ weight[:CLASSES] + z @ weight[CLASSES:] + bias
        out = run(p["p_x"][1:], jax.nn.relu(first))
        return bernoulli(x, out) + minus_kl(loc, scale, eps, kl) - LOG_CLASSES

    if work.y == "enumerate":
        h = entries(of_z[None], (table, table[label]))[0]
        y = jnp.concatenate([jnp.tile(jnp.eye(CLASSES), (many, 1)), hot])
        found = bound(h, y, lift(x[None], many)).mean(0)
        each, fixed = found[: many * CLASSES].reshape(many, CLASSES), found[many * CLASSES :]
        return mean_loss((jnp.exp(log_q[:many]) * (each - log_q[:many])).sum(-1), fixed + of_label)
    if work.y == "gumbel":
        soft = jax.nn.softmax((logits[:many] + noise.gumbel(samples, many, CLASSES)) / TEMPERATURE)
        y = jnp.concatenate([jnp.broadcast_to(hot, (samples, *hot.shape)), soft], 1)
        h = jnp.concatenate([of_z[many:] + table[label], (of_z[:many] + soft @ table).reshape(-1, of_z.shape[1])])
        found = bound(h, y, jnp.concatenate([x[many:], x[:many]]), samples * many).mean(0)
        entropy = -(jnp.exp(log_q[:many]) * log_q[:many]).sum(-1)
        return mean_loss(found[len(label) :] + entropy, found[: len(label)] + of_label)
    return sum_and_sample(log_q[:many], of_z, table, bound, noise, x, label, of_label, samples)


def samples_of(value: Array, samples: int, repeated: int) -> Array:
    """[rows encoded once, then S times the others, n] → [S, entries, n]."""
    once, others = value[: len(value) - repeated], value[len(value) - repeated :]
    once = jnp.broadcast_to(once, (samples, *once.shape))
    return jnp.concatenate([once, others.reshape(samples, -1, value.shape[-1])], 1) if repeated else once


def sum_and_sample(
    log_q: Array,
    of_z: Array,
    table: Array,
    bound: Any,
    noise: Any,
    x: Array,
    label: Array,
    of_label: Array,
    samples: int,
) -> Array:
    many, top = len(log_q), log_q.argmax(-1)
    others = jnp.where(jax.nn.one_hot(top, CLASSES) > 0, -jnp.inf, log_q)
    log_rest = jax.nn.logsumexp(others, -1)
    other = (jax.lax.stop_gradient(others) + noise.gumbel(samples, many, CLASSES)).argmax(-1)
    once = jnp.concatenate([top, label])
    y = jnp.concatenate([jnp.broadcast_to(once, (samples, len(x))), other], 1)
    h = jnp.concatenate([of_z + table[once], (of_z[:many] + table[other]).reshape(-1, of_z.shape[1])])
    found = bound(h, jax.nn.one_hot(y, CLASSES), jnp.concatenate([x, x[:many]]), samples * many)
    first, fixed, rest = found[:, :many], found[:, many : len(x)], found[:, len(x) :]
    of_top = jnp.take_along_axis(log_q, top[:, None], 1)[:, 0]
    of_other = jnp.take_along_axis(log_q, other.T, 1).T
    first, rest, share = first - of_top, rest - of_other, jnp.exp(log_rest)
    score = jax.lax.stop_gradient(share * (rest - first)) * (of_other - log_rest)
    free = jnp.exp(of_top) * first + share * rest + score - jax.lax.stop_gradient(score)
    return mean_loss(free.mean(0), fixed.mean(0) + of_label)
