"""M1+M2 and SDGM in JAX: parameters, batch and noise come in, the loss goes out."""

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
    entries_of,
    enumerated,
    lift,
    loc_scale,
    log_normal,
    log_q_drawn,
    minus_kl,
    run,
)
from benchmarks.works import CELLS, CLASSES, SKIP, Work


def m1m2(p: Params, x: Array, label: Array, noise: Any, kl: str, work: Work) -> Array:
    many = work.unlabelled
    loc, scale = loc_scale(run(p["q_z1"], x))
    eps = noise.normal(work.samples, *loc.shape)
    z1 = loc + scale * eps
    log_q = jax.nn.log_softmax(run(p["q_y"], z1))
    rows = bernoulli(x, run(p["p_x"], z1)) - log_q_drawn(scale, eps) - LOG_CLASSES
    weight, bias = p["q_z2"][0]
    h = entries(z1 @ weight[CLASSES:] + bias, (weight[:CLASSES], weight[:CLASSES][label]))
    loc, scale = loc_scale(run(p["q_z2"][1:], jax.nn.relu(h)))
    eps = noise.normal(*loc.shape)
    weight, bias = p["p_z1"][0]
    h = entries_of(weight[:CLASSES], label, many) + (loc + scale * eps) @ weight[CLASSES:] + bias
    found = log_normal(lift(z1, many), *loc_scale(run(p["p_z1"][1:], jax.nn.relu(h)))) + minus_kl(loc, scale, eps, kl)
    return enumerated(rows, found, log_q, label, many)


def sdgm(p: Params, x: Array, label: Array, noise: Any, kl: str, work: Work) -> Array:
    many, firsts = work.unlabelled, {k: v[0] for k, v in p.items()}
    weight = jnp.concatenate([firsts[k][0][:CELLS] for k in ("q_a", "q_y", "q_z")], 1)
    of_a, of_y, of_z = jnp.split(x @ weight + jnp.concatenate([firsts[k][1] for k in ("q_a", "q_y", "q_z")]), 3, -1)
    loc, scale = loc_scale(run(p["q_a"][1:], jax.nn.relu(of_a)))
    eps = noise.normal(work.samples, *loc.shape)
    a = loc + scale * eps
    log_q = jax.nn.log_softmax(run(p["q_y"][1:], jax.nn.relu(of_y + a @ firsts["q_y"][0][CELLS:])))
    rows = -log_q_drawn(scale, eps) - LOG_CLASSES
    of_class = firsts["q_z"][0][CELLS : CELLS + CLASSES]
    h = entries(of_z + a @ firsts["q_z"][0][CELLS + CLASSES :], (of_class, of_class[label]))
    loc, scale = loc_scale(run(p["q_z"][1:], jax.nn.relu(h)))
    eps = noise.normal(*loc.shape)
    z = loc + scale * eps
    both = jnp.concatenate([firsts["p_a"][0], firsts["p_x"][0][SKIP:]], 1)
    joint = z @ both[:SKIP] + entries_of(both[SKIP:], label, many)
    a_h, x_h = jnp.split(joint + jnp.concatenate([firsts["p_a"][1], firsts["p_x"][1]]), 2, -1)
    logits = run(p["p_x"][1:], jax.nn.relu(x_h + lift(a @ firsts["p_x"][0][:SKIP], many)))
    found = bernoulli(lift(x[None], many), logits) + minus_kl(loc, scale, eps, kl)
    found += log_normal(lift(a, many), *loc_scale(run(p["p_a"][1:], jax.nn.relu(a_h))))
    return enumerated(rows, found, log_q, label, many)
