"""Networks by their definitions: what `verify` says of residual blocks, embeddings and maps one behind the other."""

from __future__ import annotations

import pytest
import torch

from sgdsl.base.source import Source
from sgdsl.oracle.verify import verify
from sgdsl.runtime.networks import Embedding

WORDS = """model words "Words in an order; embeddings in a sequence, a step, a net, a let, of a relaxed class, of several cells."
observed   w : class(7)[5]
observed   v : class(4)[2, 2]
supervised y : class(3)
latent     c : count(2, 4)
latent     z : real[2]
net word = embed(4) >> gru(5)
let h = word(w)
let e = embed(2)(y)
p(y)        = Categorical
p(c)        = Categorical
p(z)        = Normal
p(w | z, e) = Categorical(mlp(3))
p(v | c, z) = Categorical(logits = mlp(3))
q(y | h)    = Categorical(linear)
q(c | y)    = Categorical(embed(3) >> mlp(4)) by gumbel(0.5)
q(z | h, c, v, y) = Normal(loc = embed(2)(c) + (embed(3) >> linear(2))(v), scale = (embed(2) >> gru(5))(y, h) >> linear)
"""
COPIES = """model copies "A word for each place, and one net for all."
net word = embed(3)
for i in 1..3 {
    observed   w[i] : class(5)
    supervised y[i] : class(2)
    latent     z[i] : real
    p(y[i])           = Categorical(learned)
    p(z[i])           = Normal
    p(w[i] | z[i])    = Categorical(mlp(2))
    let f[i]          = word(w[i])
    q(y[i] | f[i])    = Categorical(linear)
    q(z[i] | f[i], y[i]) = Normal(linear)
}
"""
BLOCKS = """model blocks "Residual blocks, with and without norms, odd sides, beside what is no map."
observed   x : real[2, 7, 9]
supervised y : class(3)
latent     z : real[2]
p(y)        = Categorical
p(z)        = Normal
p(x | y, z) = Normal(mlp(3), scale = 1)
q(y | x)    = Categorical(resnet(2, 3, norm = layer, act = tanh))
q(z | x, y) = Normal(resnet(2) >> conv(3) >> mlp(3))
"""
MAPS = """model maps "Maps through two convs."
observed   x : real[2, 8, 8]
latent     z : real[2]
p(z)        = Normal
p(x | z)    = Normal(mlp(3), scale = 1)
q(z | x)    = Normal(conv(2) >> conv(3, act = tanh) >> mlp(3))
"""


@pytest.mark.parametrize("text", [WORDS, COPIES, BLOCKS, MAPS], ids=["words", "copies", "blocks", "maps"])
def test_networks_are_what_their_names_say(text: str) -> None:
    """Protects each network's layers, their order in the weights, and gradients, against plain tensors and loops."""
    report = verify(Source("networks.sgm", text))
    assert report.right, [case for case in report.cases if not case.right]


def test_an_embedding_looks_up_and_averages() -> None:
    """Protects both ways into a table: an index finds its row, weights average the rows, cells stand one behind the other."""
    module = Embedding(5, 3)
    index = torch.tensor([[[0, 4], [2, 2]]])
    found = module(index, 1)
    assert found.shape == (1, 2, 6)
    torch.testing.assert_close(found[0, 0], torch.cat((module.table[0], module.table[4])))
    hot = torch.nn.functional.one_hot(index, 5).float()
    torch.testing.assert_close(module(hot, 1), found)
    torch.testing.assert_close(module(index[..., 0], 0), module.table[[0, 2]][None])
