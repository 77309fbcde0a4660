"""Variational autoencoders by hand, dense and convolutional: a task comes in, the loss of a batch goes out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.noise import Noise
from benchmarks.peers import Task
from benchmarks.peers.direct.formulas import bernoulli, drawn, minus_kl, positive
from benchmarks.peers.direct.layers import linear, run, stack


class VAE(nn.Module):
    """q(z | x), p(x | z), dense."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task, self.x = task, torch.from_numpy(task.data.x)
        self.make(task)

    def make(self, task: Task) -> None:
        """Encoder and decoder."""
        self.z, self.decoder = stack(task.layers["q_z"]), stack(task.layers["p_x"])

    def encode(self) -> Tensor:
        """[rows, 2 · size of z]."""
        return run(self.z, self.x).float()

    def decode(self, z: Tensor) -> Tensor:
        """[S, rows, n] → logits [S, rows, 784]."""
        return run(self.decoder, z)

    def loss(self, noise: Noise) -> Tensor:
        loc, raw = self.encode().chunk(2, -1)
        scale, eps = positive(raw), noise.normal(self.task.work.samples, *loc.shape)
        z = drawn(loc, scale, eps)
        return -(bernoulli(self.x.flatten(1), self.decode(z)) + minus_kl(loc, scale, eps, z, self.task.kl)).mean()


class ConvVAE(VAE):
    """q(z | x) = two convolutions and a layer, p(x | z) the mirror; kernel 4, stride 2, padding 1."""

    def make(self, task: Task) -> None:
        (w1, b1), (w2, b2), *dense = task.layers["q_z"]
        self.conv1, self.conv2 = (nn.Conv2d(w.shape[1], w.shape[0], 4, 2, 1) for w in (w1, w2))
        *before, (w3, b3), (w4, b4) = task.layers["p_x"]
        self.deconv1, self.deconv2 = (nn.ConvTranspose2d(w.shape[0], w.shape[1], 4, 2, 1) for w in (w3, w4))
        given = ((self.conv1, w1, b1), (self.conv2, w2, b2), (self.deconv1, w3, b3), (self.deconv2, w4, b4))
        for layer, weight, bias in given:
            layer.weight.data, layer.bias.data = torch.tensor(weight), torch.tensor(bias)
        self.z, self.before = stack(dense), nn.ModuleList(linear(*v) for v in before)

    def encode(self) -> Tensor:
        h = self.conv2(self.conv1(self.x).relu_()).relu_()
        return run(self.z, h.flatten(1)).float()

    def decode(self, z: Tensor) -> Tensor:
        h = run(self.before, z.flatten(0, 1)).relu_().unflatten(-1, (-1, 7, 7))
        h = self.deconv2(self.deconv1(h).relu_())
        return h.reshape(*z.shape[:2], -1)
