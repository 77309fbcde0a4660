"""Steps in NumPyro: model and guide, SVI compiled whole, first layers shared as in the direct step.

A sum over classes is a plate of entries whose sites are scaled by q(y | …); what the guide computes and the model reads is a
Delta site. A task comes in, a step goes out; None where a work is left to plain JAX.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro.handlers import scale
from numpyro.infer import SVI, Trace_ELBO, TraceMeanField_ELBO

from benchmarks.noise import gumbel_pattern, normal_pattern
from benchmarks.peers import Task
from benchmarks.peers.by_jax import parameters
from benchmarks.peers.by_jax.formulas import Array, Params, entries, entries_of, lift, loc_scale, run
from benchmarks.works import ALPHA, CELLS, CLASSES, LEARNING_RATE, RATE, SKIP, TEMPERATURE

LOG_CLASSES = math.log(CLASSES)


class FixedNormal(dist.Normal):
    """Draws the patterns of all contestants, [S, rows, n]."""

    def sample(self, key: Array | None, sample_shape: tuple[int, ...] = ()) -> Array:
        pattern = normal_pattern(self.loc.shape[0], self.loc.shape[-1])[:, None]
        return self.loc + self.scale * jnp.broadcast_to(pattern, self.loc.shape)


class Program:
    """Model and guide of a task; `fixed`: draw the patterns."""

    def __init__(self, task: Task) -> None:
        self.work, self.fixed, self.initial = task.work, False, parameters(task)
        self.x, self.label = jnp.array(task.data.x), jnp.array(task.data.y[task.work.unlabelled :])
        self.many, self.samples = task.work.unlabelled, task.work.samples
        rate = RATE if task.work.labelled else 0.0
        self.row_weight = jnp.where(
            jnp.arange(task.work.rows) < self.many, (1 - rate) / self.many, rate / max(task.work.labelled, 1)
        )

    def params(self, *factors: str) -> Params:
        def one(name: str, value: Array) -> Array:
            return numpyro.param(name, value)

        return {
            k: [(one(f"{k}.{i}.w", w), one(f"{k}.{i}.b", b)) for i, (w, b) in enumerate(self.initial[k])]
            for k in factors
        }

    def drawn(self, name: str, out: Array, weight: Array) -> Array:
        """A latent of the guide, [S, rows, n], from a network's output; its log-density counts by `weight`."""
        loc, spread = loc_scale(out)
        shape = (self.samples, *loc.shape[-2:])
        family = FixedNormal if self.fixed else dist.Normal
        with scale(scale=weight):
            q = family(jnp.broadcast_to(loc, shape), jnp.broadcast_to(spread, shape)).to_event(1)
            return numpyro.sample(name, q)

    def hand_over(self, name: str, value: Array) -> None:
        """From guide to model."""
        numpyro.sample(name, dist.Delta(value, event_dim=value.ndim))

    def handed(self, name: str, *shape: int) -> Array:
        return numpyro.sample(name, dist.ImproperUniform(dist.constraints.real, (), shape))

    def latent(self, name: str, size: int) -> Array:
        """A latent whose prior is a factor of its own, at the entries."""
        batch = (self.samples, self.work.rows)
        return numpyro.sample(name, dist.ImproperUniform(dist.constraints.real, batch, (size,)))

    def standard(self, name: str, rows: int, size: int, weight: Array) -> Array:
        """A latent with a standard normal prior."""
        with scale(scale=weight):
            zeros = jnp.zeros((self.samples, rows, size))
            return numpyro.sample(name, dist.Normal(zeros, 1.0).to_event(1))

    def observed(self, name: str, family: Any, value: Array, weight: Array) -> None:
        with scale(scale=weight):
            numpyro.sample(name, family.to_event(1), obs=value)

    def entry_weight(self, log_q: Array) -> Array:
        """q(y | …) of rows without a label, 1 for the others, times the row's weight and 1 / S: [S or 1, entries]."""
        free = jnp.exp(log_q[..., : self.many, :]) * self.row_weight[: self.many, None]
        free = free.reshape(*free.shape[:-2], -1)
        fixed = jnp.broadcast_to(self.row_weight[self.many :], (*free.shape[:-1], self.work.labelled))
        return jnp.concatenate([free, fixed], -1) / self.samples

    def label_terms(self, log_q: Array) -> None:
        """− Σ q log q of rows without a label, α log q of the others, and log p(y): [S or 1, rows, classes]."""
        weight, free, fixed = self.row_weight, log_q[..., : self.many, :], log_q[..., self.many :, :]
        of_label = jnp.take_along_axis(fixed, jnp.broadcast_to(self.label[:, None], (*fixed.shape[:-1], 1)), -1)[..., 0]
        gained = -(jnp.exp(free) * free).sum(-1) @ weight[: self.many] + ALPHA * (of_label @ weight[self.many :])
        numpyro.factor("labels", LOG_CLASSES - gained.mean())


class M2(Program):
    def guide(self) -> None:
        p, many = self.params("q_y", "q_z"), self.many
        weight = jnp.concatenate([p["q_y"][0][0], p["q_z"][0][0][:CELLS]], 1)
        joint = self.x @ weight + jnp.concatenate([p["q_y"][0][1], p["q_z"][0][1]])
        of_y, of_z = jnp.split(joint, [len(p["q_y"][0][1])], 1)
        table = p["q_z"][0][0][CELLS:]
        logits = run(p["q_y"][1:], jax.nn.relu(of_y))
        log_q = jax.nn.log_softmax(logits)
        self.label_terms(log_q)
        if self.work.y == "enumerate":
            weight, h = self.entry_weight(log_q), entries(of_z[None], (table, table[self.label]))[0]
            self.hand_over("weight", weight)
        else:
            y = jnp.concatenate([self.relaxed(logits[:many]), self.hot()], 1)
            self.hand_over("y", y)
            weight, h = self.row_weight / self.samples, of_z + y @ table
        self.drawn("z", run(p["q_z"][1:], jax.nn.relu(h)), weight)

    def hot(self) -> Array:
        return jnp.broadcast_to(jax.nn.one_hot(self.label, CLASSES), (self.samples, len(self.label), CLASSES))

    def relaxed(self, logits: Array) -> Array:
        if self.fixed:
            noise = gumbel_pattern(self.samples, CLASSES)[:, None]
            return jax.nn.softmax((logits + noise) / TEMPERATURE)
        noise = jax.random.gumbel(numpyro.prng_key(), (self.samples, *logits.shape))
        return jax.nn.softmax((logits + noise) / TEMPERATURE)

    def model(self) -> None:
        p, rows = self.params("p_x"), self.work.rows
        weight, bias = p["p_x"][0]
        if self.work.y == "enumerate":
            rows = self.many * CLASSES + self.work.labelled
            of_entry = self.handed("weight", rows)
            of_y, x = entries_of(weight[:CLASSES], self.label, self.many), lift(self.x[None], self.many)
        else:
            of_entry, x = self.row_weight / self.samples, self.x
            of_y = self.handed("y", self.samples, rows, CLASSES) @ weight[:CLASSES]
        size = len(weight) - CLASSES
        z = self.standard("z", rows, size, of_entry)
        logits = run(p["p_x"][1:], jax.nn.relu(of_y + z @ weight[CLASSES:] + bias))
        self.observed("x", dist.Bernoulli(logits=logits), x, of_entry)


class M1M2(Program):
    def guide(self) -> None:
        p = self.params("q_z1", "q_y", "q_z2")
        z1 = self.drawn("z1", run(p["q_z1"], self.x), self.row_weight)
        log_q = jax.nn.log_softmax(run(p["q_y"], z1))
        self.label_terms(log_q)
        of_entry = self.entry_weight(log_q)
        self.hand_over("weight", of_entry)
        weight, bias = p["q_z2"][0]
        h = entries(z1 @ weight[CLASSES:] + bias, (weight[:CLASSES], weight[:CLASSES][self.label]))
        self.drawn("z2", run(p["q_z2"][1:], jax.nn.relu(h)), of_entry)

    def model(self) -> None:
        p, rows = self.params("p_z1", "p_x"), self.many * CLASSES + self.work.labelled
        weight, bias = p["p_z1"][0]
        size = len(weight) - CLASSES
        z1, of_entry = self.latent("z1", size), self.handed("weight", self.samples, rows)
        z2 = self.standard("z2", rows, size, of_entry)
        h = jax.nn.relu(z2 @ weight[CLASSES:] + bias + entries_of(weight[:CLASSES], self.label, self.many))
        self.observed("z1 again", dist.Normal(*loc_scale(run(p["p_z1"][1:], h))), lift(z1, self.many), of_entry)
        self.observed("x", dist.Bernoulli(logits=run(p["p_x"], z1)), self.x, self.row_weight)


class SDGM(Program):
    def guide(self) -> None:
        p = self.params("q_a", "q_y", "q_z")
        firsts = [p[k][0] for k in ("q_a", "q_y", "q_z")]
        joint = self.x @ jnp.concatenate([w[:CELLS] for w, _ in firsts], 1) + jnp.concatenate([b for _, b in firsts])
        of_a, of_y, of_z = jnp.split(joint, 3, -1)
        a = self.drawn("a", run(p["q_a"][1:], jax.nn.relu(of_a)), self.row_weight)
        log_q = jax.nn.log_softmax(run(p["q_y"][1:], jax.nn.relu(of_y + a @ firsts[1][0][CELLS:])))
        self.label_terms(log_q)
        of_entry = self.entry_weight(log_q)
        self.hand_over("weight", of_entry)
        table = firsts[2][0][CELLS : CELLS + CLASSES]
        h = entries(of_z + a @ firsts[2][0][CELLS + CLASSES :], (table, table[self.label]))
        self.drawn("z", run(p["q_z"][1:], jax.nn.relu(h)), of_entry)

    def model(self) -> None:
        p, rows = self.params("p_a", "p_x"), self.many * CLASSES + self.work.labelled
        a, of_entry = self.latent("a", SKIP), self.handed("weight", self.samples, rows)
        z = self.standard("z", rows, SKIP, of_entry)
        (of_a, a_bias), (of_x, x_bias) = p["p_a"][0], p["p_x"][0]
        both = jnp.concatenate([of_a, of_x[SKIP:]], 1)
        joint = z @ both[:SKIP] + entries_of(both[SKIP:], self.label, self.many) + jnp.concatenate([a_bias, x_bias])
        a_h, x_h = jnp.split(joint, 2, -1)
        p_a = dist.Normal(*loc_scale(run(p["p_a"][1:], jax.nn.relu(a_h))))
        self.observed("a again", p_a, lift(a, self.many), of_entry)
        logits = run(p["p_x"][1:], jax.nn.relu(x_h + lift(a @ of_x[:SKIP], self.many)))
        self.observed("x", dist.Bernoulli(logits=logits), lift(self.x[None], self.many), of_entry)


class VAE(Program):
    def guide(self) -> None:
        self.drawn("z", run(self.params("q_z")["q_z"], self.x), self.row_weight)

    def model(self) -> None:
        p = self.params("p_x")["p_x"]
        z = self.standard("z", self.work.rows, len(p[0][0]), self.row_weight)
        self.observed("x", dist.Bernoulli(logits=run(p, z)), self.x, self.row_weight)


class Compiled:
    """SVI with Adam; the state is overwritten in place."""

    def __init__(self, program: Any, kl: str) -> None:
        self.program = program
        self.elbo = TraceMeanField_ELBO() if kl == "closed" else Trace_ELBO()
        self.svi = SVI(program.model, program.guide, numpyro.optim.Adam(LEARNING_RATE), self.elbo)
        self.state = self.svi.init(jax.random.key(0, impl="unsafe_rbg"))
        self.update = jax.jit(lambda state: self.svi.update(state), donate_argnums=0)

    def checked(self) -> tuple[float, float]:
        self.program.fixed = True
        params, key = self.svi.get_params(self.state), jax.random.key(1)

        def loss(params: Any) -> Array:
            return self.elbo.loss(key, params, self.program.model, self.program.guide)

        value, grads = jax.jit(jax.value_and_grad(loss))(params)
        self.program.fixed = False
        return float(value), float(sum((g**2).sum() for g in jax.tree.leaves(grads)) ** 0.5)

    def step(self) -> None:
        self.state, loss = self.update(self.state)
        jax.block_until_ready((self.state, loss))


PROGRAMS = {"m2": M2, "m1m2": M1M2, "sdgm": SDGM, "vae": VAE}


def build(task: Task) -> Compiled | None:
    """The step; sum-and-sample, weights over several samples and convolutions are left to plain JAX."""
    work = task.work
    if work.y == "sum_and_sample" or work.kind not in PROGRAMS or (work.kind in ("m1m2", "sdgm") and work.samples > 1):
        return None
    return Compiled(PROGRAMS[work.kind](task), task.kl)
