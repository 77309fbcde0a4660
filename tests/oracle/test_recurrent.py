"""A gru or lstm in every place: what `verify` says of it, by the written-out equations; its layers beside torch's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.oracle.verify import verify
from sgdsl.runtime.doubly import fixed
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load
from sgdsl.runtime.recurrent import GRU, LSTM, GRUCell, LSTMCell
from tests.backend.test_emit import rows_for

LETS = """model sequences
observed   x : real[6, 4]
supervised y : class(3)
latent     z : real[2]
let h = gru(5)(x)
let a = (mlp(4) >> gru(3) >> mlp(2))(x)
let b = gru(4)(y, a, learned(4))
p(y)        = Categorical
p(z)        = Normal
p(x | y, z) = Normal(mlp(5), scale = learned(1))
q(y | h)    = Categorical(mlp(4))
q(z | h, y, a, b) = Normal(loc = (linear(3) >> gru(4) >> linear)(h, y, stack(a, a), b), scale = 1)
"""
FORMS = """model forms "counts, classes, what is missing in steps, relaxed classes"
observed x : count[5, 2]
observed w : class(3)[4]
observed v : real[4, 2] partial
observed k : count(1, 4)[3] partial
latent   z : real[3]
latent   u : class(3)[2]
net cell = mlp(5, norm = layer) >> gru(4)
let s = gru(3)(x)
let t = gru(4)(k)
let r = gru(2)(u)
p(z) = Normal
p(u) = Categorical
p(x | z) = Poisson(mlp(5))
p(w | z, u) = Categorical((gru(4) >> mlp(5))(u))
p(v | z) = Normal(mlp(5), scale = learned(1))
p(k | z) = Categorical(mlp(5))
q(z | v, k, s, t, r) = Normal(loc = (cell >> linear)(v), scale = (linear(3) >> gru(3))(t, r, s))
q(u | w) = Categorical((gru(3) >> mlp(4))(w)) by gumbel(0.5)
"""
DREG = """model dreg
observed x : real[4, 2]
latent   z : real[3, 2]
p(z) = Normal
p(x | z) = Normal((gru(4) >> mlp(3))(z), scale = learned(1))
q(z | x) = Normal(gru(4))
objective { bound = iw, gradient = dreg, samples = 3 }
"""
LSTMS = """model lstms "read to its last hidden values, one step with its cells, a net, carried through a loop"
observed   x : real[3, 4]
supervised y : class(3)
latent     z : real[2]
net cell = linear(3) >> lstm(2)
let h = lstm(5)(x)
let a = (mlp(4) >> lstm(3) >> mlp(2))(x)
let b = lstm(2)(y, a, learned(4))
p(y)        = Categorical
p(z)        = Normal
p(x | y, z) = Normal(mlp(5), scale = learned(1))
q(y | h)    = Categorical(mlp(4))
q(z | h, y, a, b) = Normal(loc = (cell >> linear)(h, y, stack(a, a), b), scale = 1)
"""
CARRIED = """model carried
for t in 1..3 {
    observed x[t] : real[2]
    latent   z[t] : real
    p(z[t])        = Normal
    p(x[t] | z[t]) = Normal(linear)
    let m[t]          = lstm(3)(x[t], m[t - 1])
    q(z[t] | m[t])    = Normal(linear)
}
let m[0] = zeros(6)
"""


@pytest.mark.parametrize("text", [LETS, FORMS, DREG, LSTMS, CARRIED], ids=["lets", "forms", "dreg", "lstms", "carried"])
def test_the_oracle_reads_the_same_states(text: str) -> None:
    """Protects the input form of each step, the weights that belong to it, gradients, and the levels of lifted inputs."""
    report = verify(Source("gru.sgm", text))
    assert report.right, [case for case in report.cases if not case.right]


NESTED = """model nested
observed x : real[8]
latent   z : real[4]
let b = mlp(3)(mlp(5)(x), learned(2))
let c = mlp(3)(learned(2))
p(z) = Normal
p(x | z) = Normal(mlp(4), scale = learned(1))
q(z | b, c) = Normal(mlp(4))
"""


def test_weights_inside_the_inputs_of_a_let_are_its_own() -> None:
    """Protects a let's inner network, whose weights once took the place of its outer one's."""
    report = verify(Source("nested.sgm", NESTED))
    assert report.right, [case for case in report.cases if not case.right]


def test_a_sequence_is_torchs_gru() -> None:
    """Protects samples, entries and steps from changing places, and the names of the weights."""
    torch.manual_seed(0)
    own = GRU(3, 5)
    theirs = nn.GRU(3, 5, batch_first=True)
    theirs.load_state_dict(own.state_dict())
    x = torch.randn(2, 4, 6, 3)
    for sample in range(2):
        torch.testing.assert_close(own(x)[sample], theirs(x[sample])[1][0])


def test_a_step_is_torchs_gru_cell_wherever_its_inputs_stand() -> None:
    """Protects a state of 0 that is [1, 1, n], and inputs of one sample beside states of several."""
    torch.manual_seed(0)
    own = GRUCell(3, 5)
    theirs = nn.GRUCell(3, 5)
    theirs.load_state_dict(own.state_dict())
    x, state = torch.randn(1, 4, 3), torch.randn(2, 4, 5)
    for sample in range(2):
        torch.testing.assert_close(own(x, state)[sample], theirs(x[0], state[sample]))
    torch.testing.assert_close(own(x, torch.zeros(1, 1, 5))[0], theirs(x[0]))


def test_an_lstm_is_torchs() -> None:
    """Protects the state of a step, hidden values before cells, and the last hidden values of a sequence."""
    torch.manual_seed(0)
    own, theirs = LSTM(3, 5), nn.LSTM(3, 5, batch_first=True)
    theirs.load_state_dict(own.state_dict())
    x = torch.randn(2, 4, 6, 3)
    step, cell = LSTMCell(3, 5), nn.LSTMCell(3, 5)
    cell.load_state_dict(step.state_dict())
    state = torch.randn(1, 4, 10)
    for sample in range(2):
        torch.testing.assert_close(own(x)[sample], theirs(x[sample])[1][0][0])
        wanted = torch.cat(cell(x[sample, :, 0], (state[0, :, :5], state[0, :, 5:])), -1)
        torch.testing.assert_close(step(x[:, :, 0], state)[sample], wanted)


@pytest.mark.parametrize(
    "module", [GRU(3, 5), GRUCell(3, 5), LSTM(3, 5), LSTMCell(3, 5)], ids=["gru", "cell", "lstm", "lstm cell"]
)
def test_a_fixed_twin_keeps_gradients_from_the_weights(module: nn.Module) -> None:
    """Protects gradient = dreg: nn.GRU's own forward would read the weights of the module that it was copied from."""
    x = torch.randn(1, 2, 4, 3, requires_grad=True)
    twin = fixed(module)
    state = torch.zeros(1, 1, 10 if isinstance(module, LSTMCell) else 5)
    (twin(x) if isinstance(module, GRU | LSTM) else twin(x[:, :, 0], state)).sum().backward()
    assert x.grad is not None
    assert all(p.grad is None for p in module.parameters())


@pytest.mark.parametrize("bf16", [False, True])
def test_training_steps_lower_the_loss(bf16: bool) -> None:
    """Protects the way of the gradients through time into every weight, in both precisions."""
    torch.manual_seed(0)
    model = load(driver.compile_source(Source("gru.sgm", LETS)).text, "gru_steps").Model()
    batch, adam, losses = rows_for(model, 16), torch.optim.Adam(model.parameters(), 1e-2), []
    for _ in range(40):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = -model(batch, Draws(torch.Generator().manual_seed(0))).objective.mean()
        adam.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
