"""Steps in plain JAX, compiled whole: loss, gradient and Adam in one function, first layers shared as in the direct step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers import Task
from benchmarks.peers.by_jax.deep import m1m2, sdgm
from benchmarks.peers.by_jax.formulas import Array, Fixed, Noise, Params
from benchmarks.peers.by_jax.m2 import m2
from benchmarks.peers.by_jax.vae import channels_last, conv_vae, vae
from benchmarks.works import LEARNING_RATE

LOSSES: dict[str, Callable[..., Array]] = {"m2": m2, "m1m2": m1m2, "sdgm": sdgm, "vae": vae, "conv": conv_vae}
B1, B2, EPSILON = 0.9, 0.999, 1e-8


def parameters(task: Task) -> Params:
    """The given weights, [in, out]."""
    layers = {k: [(w.T if w.ndim == 2 else w, b) for w, b in v] for k, v in task.layers.items()}
    layers = channels_last(layers) if task.work.kind == "conv" else layers
    return jax.tree.map(lambda v: jnp.array(np.ascontiguousarray(v)), layers)


def adam(params: Any, grads: Any, state: Any) -> tuple[Any, Any]:
    """One step; state: its number, and both moments."""
    count, first, second = state
    count = count + 1
    first = jax.tree.map(lambda m, g: B1 * m + (1 - B1) * g, first, grads)
    second = jax.tree.map(lambda v, g: B2 * v + (1 - B2) * g * g, second, grads)
    rate, root = LEARNING_RATE / (1 - B1**count), 1 / (1 - B2**count) ** 0.5

    def moved(p: Array, m: Array, v: Array) -> Array:
        return p - rate * m / (jnp.sqrt(v) * root + EPSILON)

    return jax.tree.map(moved, params, first, second), (count, first, second)


class Compiled:
    """`loss(params, noise)`; parameters and moments are overwritten in place."""

    def __init__(self, params: Any, loss: Callable[[Any, Any], Array]) -> None:
        def step(params: Any, state: Any, key: Array) -> tuple[Any, Any, Array, Array]:
            key, used = jax.random.split(key)
            value, grads = jax.value_and_grad(lambda p: loss(p, Noise(used)))(params)
            return *adam(params, grads, state), key, value

        def check(params: Any) -> tuple[Array, Array]:
            value, grads = jax.value_and_grad(lambda p: loss(p, Fixed()))(params)
            return value, sum((g**2).sum() for g in jax.tree.leaves(grads)) ** 0.5

        zeros = jax.tree.map(jnp.zeros_like, params)
        self.state = params, (jnp.zeros(()), zeros, jax.tree.map(jnp.copy, zeros)), jax.random.key(0, impl="unsafe_rbg")
        self.compiled, self.check = jax.jit(step, donate_argnums=(0, 1, 2)), jax.jit(check)

    def checked(self) -> tuple[float, float]:
        value, norm = self.check(self.state[0])
        return float(value), float(norm)

    def step(self) -> None:
        *state, value = self.compiled(*self.state)
        self.state = tuple(state)
        jax.block_until_ready((value, self.state))


def build(task: Task) -> Compiled:
    """The compiled step of a task."""
    work, loss = task.work, LOSSES[task.work.kind]
    x = task.data.x.reshape(-1, 28, 28, 1) if work.kind == "conv" else task.data.x
    batch = jnp.array(x), jnp.array(task.data.y[work.unlabelled :])
    return Compiled(parameters(task), lambda p, noise: loss(p, *batch, noise, task.kl, work))
