"""Variational autoencoders in JAX, dense and convolutional: parameters, batch and noise come in, the loss goes out."""

from __future__ import annotations

from typing import Any

import jax

from benchmarks.peers.by_jax.formulas import Array, Params, bernoulli, loc_scale, minus_kl, run
from benchmarks.works import Work

LAYOUT = ("NHWC", "HWIO", "NHWC")


def loss_of(x: Array, out: Array, decode: Any, noise: Any, kl: str, work: Work) -> Array:
    loc, scale = loc_scale(out)
    eps = noise.normal(work.samples, *loc.shape)
    return -(bernoulli(x, decode(loc + scale * eps)) + minus_kl(loc, scale, eps, kl)).mean()


def vae(p: Params, x: Array, label: Array, noise: Any, kl: str, work: Work) -> Array:
    return loss_of(x, run(p["q_z"], x), lambda z: run(p["p_x"], z), noise, kl, work)


def conv(layer: tuple[Array, Array], h: Array, stride: int) -> Array:
    """Kernel 4, padding 1, stride 2; or, with stride 1, its mirror. Weights of the mirror are flipped beforehand."""
    pad, dilation = ((1, 1), (1, 1)) if stride == 2 else ((2, 2), (2, 2)), (1, 1) if stride == 2 else (2, 2)
    out = jax.lax.conv_general_dilated(h, layer[0], (stride, stride), pad, dilation, dimension_numbers=LAYOUT)
    return out + layer[1]


def conv_vae(p: Params, x: Array, label: Array, noise: Any, kl: str, work: Work) -> Array:
    """x [rows, 28, 28, 1]; dense layers that see a map have it as height, width, channels."""
    h = jax.nn.relu(conv(p["q_z"][0], x, 2))
    h = jax.nn.relu(conv(p["q_z"][1], h, 2))
    out = run(p["q_z"][2:], h.reshape(len(x), -1))

    def decode(z: Array) -> Array:
        h = jax.nn.relu(run(p["p_x"][:2], z)).reshape(-1, 7, 7, 64)
        h = jax.nn.relu(conv(p["p_x"][2], h, 1))
        return conv(p["p_x"][3], h, 1).reshape(work.samples, len(x), -1)

    return loss_of(x.reshape(len(x), -1), out, decode, noise, kl, work)


def channels_last(layers: dict[str, list]) -> dict[str, list]:
    """Weights of the emitted model, [in, out] where dense, for maps of height, width, channels."""
    (w1, b1), (w2, b2), (w3, b3), head = layers["q_z"]
    first, (w5, b5), (w6, b6), (w7, b7) = layers["p_x"]
    w3 = w3.reshape(64, 7, 7, -1).transpose(1, 2, 0, 3).reshape(w3.shape)
    w5 = w5.reshape(-1, 64, 7, 7).transpose(0, 2, 3, 1).reshape(w5.shape)
    b5 = b5.reshape(64, 7, 7).transpose(1, 2, 0).reshape(b5.shape)
    forward = [(w.transpose(2, 3, 1, 0), b) for w, b in ((w1, b1), (w2, b2))]
    mirror = [(w[:, :, ::-1, ::-1].transpose(2, 3, 0, 1), b) for w, b in ((w6, b6), (w7, b7))]
    return {"q_z": [*forward, (w3, b3), head], "p_x": [first, (w5, b5), *mirror]}
