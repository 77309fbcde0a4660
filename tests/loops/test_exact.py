"""Models with loops whose likelihoods are known in closed form, by emitted code alone: hidden Markov models by the forward
algorithm, linear-Gaussian chains by a Kalman filter, counts by listing everything, plates beside a model without loops."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

import sgdsl
from sgdsl.oracle.keyed import Keyed
from sgdsl.runtime.batch import Step, make_batch
from sgdsl.runtime.draws import Draws


def built(text: str, **settings: object) -> nn.Module:
    return sgdsl.compile(text, **settings).build().double()


def put(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Weights by name; every other keeps its own."""
    state = module.state_dict()
    assert weights.keys() <= state.keys(), sorted(state)
    module.load_state_dict({**state, **{n: t.reshape(state[n].shape) for n, t in weights.items()}})


def step(
    module: nn.Module, values: Mapping[str, Tensor], known: Mapping[str, Tensor], draws: object, samples: int
) -> Step:
    module.samples, module.alpha = samples, 0.0
    found: Step = module(make_batch(module, values, known), draws)
    return found


def generator(seed: int) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


# --- a hidden Markov model ------------------------------------------------------------------------------------

HMM = """model hmm
for t in 1..4 {
    observed x[t] : class(3)
    latent   z[t] : class(2)
    p(x[t] | z[t]) = Categorical(table)
}
p(z[1]) = Categorical(learned)
q(z[1]) = Categorical(learned) by score
for t in 2..4 {
    p(z[t] | z[t - 1])    = Categorical(table)
    q(z[t] | z[t - 1], t) = Categorical(table) by score
}
"""
X = torch.tensor([2, 0, 1, 2])


def hmm() -> tuple[Tensor, Tensor, Tensor]:
    """Log probabilities of the first state, of transitions and of what is seen."""
    torch.manual_seed(3)
    return torch.randn(2).log_softmax(0), torch.randn(2, 2).log_softmax(1), torch.randn(2, 3).log_softmax(1)


def forward(first: Tensor, move: Tensor, seen: Tensor, x: Tensor) -> Tensor:
    """log p(x)."""
    alpha = first + seen[:, x[0]]
    for value in x[1:]:
        alpha = (alpha[:, None] + move).logsumexp(0) + seen[:, value]
    return alpha.logsumexp(0)


def smoothed(first: Tensor, move: Tensor, seen: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """log p(z1 | x) and log p(z[t] | z[t - 1], x) as a table [z[t - 1], t, z[t]], unnormalised, from backward messages."""
    beta, tables = torch.zeros(2), []
    for value in x[1:].flip(0):
        joint = move + (seen[:, value] + beta)
        tables.append(joint)
        beta = joint.logsumexp(1)
    return first + seen[:, x[0]] + beta, torch.stack(tables[::-1], 1)


@pytest.mark.parametrize("bound", ["snis", "iw", "clamped"])
def test_a_hidden_markov_model_with_its_posterior_as_q_meets_the_likelihood(bound: str) -> None:
    """Protects sequences end to end: pieces, tables of the index and an earlier copy. With q the posterior every single
    draw's bound is log p(x), to rounding."""
    first, move, seen = hmm()
    module = built(HMM, bound=bound)
    q_first, q_move = smoothed(first, move, seen, X)
    put(module, {"p_z_1.logits": first, "p_z_t_2_4.table.logits": move, "p_x.table.logits": seen})
    put(module, {"q_z_1.logits": q_first, "q_z_t_2_4.table.logits": q_move})
    found = step(module, {"x": X.expand(50, 4)}, {}, generator(1), 2)
    torch.testing.assert_close(found.bound, forward(first, move, seen, X).expand(50), rtol=0, atol=1e-12)


def test_a_hidden_markov_model_with_another_q_stays_below() -> None:
    """Protects the sign of every term: the mean of 4,000 rows' bounds lies below log p(x) by far more than their 4 standard
    errors, and log mean exp of them is log p(x) within 4 of its own."""
    first, move, seen = hmm()
    module = built(HMM)
    put(module, {"p_z_1.logits": first, "p_z_t_2_4.table.logits": move, "p_x.table.logits": seen})
    put(module, {"q_z_1.logits": torch.zeros(2), "q_z_t_2_4.table.logits": torch.zeros(2, 3, 2)})
    bound = step(module, {"x": X.expand(4000, 4)}, {}, generator(2), 1).bound.detach()
    wanted = forward(first, move, seen, X)
    assert bound.mean() + 4 * bound.std() / math.sqrt(4000) < wanted
    ratio = (bound - wanted).exp()
    assert abs(float(ratio.mean()) - 1) < 4 * float(ratio.std()) / math.sqrt(4000)


# --- a linear-Gaussian chain ----------------------------------------------------------------------------------

CHAIN = """model chain
for t in 1..5 {
    observed x[t] : real
    latent   z[t] : real
    p(x[t] | z[t]) = Normal(loc = 1.3 * z[t] + 0.2, scale = 0.6)
}
p(z[1]) = Normal
q(z[1]) = Normal(loc = learned, scale = learned)
for t in 2..5 {
    p(z[t] | z[t - 1]) = Normal(loc = 0.9 * z[t - 1] - 0.1, scale = 0.5)
    let q_at[t] = linear(3)(t)
    q(z[t] | z[t - 1], q_at[t]) = Normal(loc = sum(q_at[t] * [z[t - 1], 1, 0]), scale = exp(sum(q_at[t] * [0, 0, 1])))
}
"""
SEEN = torch.tensor([0.4, -1.0, 0.3, 2.1, 0.5]).double()


def kalman(x: Tensor) -> Tensor:
    """log p(x), by prediction errors."""
    mean, variance, total = torch.tensor(0.0), torch.tensor(1.0), torch.tensor(0.0)
    for t, value in enumerate(x):
        if t:
            mean, variance = 0.9 * mean - 0.1, 0.81 * variance + 0.25
        spread = 1.69 * variance + 0.36
        error = value - (1.3 * mean + 0.2)
        total = total - 0.5 * (error**2 / spread + spread.log() + math.log(2 * math.pi))
        gain = 1.3 * variance / spread
        mean, variance = mean + gain * error, (1 - 1.3 * gain) * variance
    return total


def backward(x: Tensor) -> tuple[list[tuple[float, float, float]], tuple[float, float]]:
    """p(z[t] | z[t - 1], x) as (slope, constant, scale) for t = 2 …, and p(z[1] | x) as (loc, scale). The message of what is seen
    from t on is exp(−½ a z² + b z)."""
    a, b, found = 1.69 / 0.36, float(1.3 * (x[-1] - 0.2) / 0.36), []
    for value in x[:-1].flip(0):
        precision = 4 + a
        found.append((4 * 0.9 / precision, (4 * -0.1 + b) / precision, precision**-0.5))
        # ∫ N(z'; 0.9 z − 0.1, 0.25) exp(−½ a z'² + b z') dz' as a function of z, then this step's seen value
        shrunk = 4 * a / precision
        at = 4 * b / precision
        a, b = 0.81 * shrunk + 1.69 / 0.36, 0.9 * (at + 0.1 * shrunk) + float(1.3 * (value - 0.2) / 0.36)
    return found[::-1], (b / (1 + a), (1 + a) ** -0.5)


@pytest.mark.parametrize("bound", ["snis", "iw", "clamped"])
def test_a_linear_gaussian_chain_with_its_posterior_as_q_meets_the_kalman_filter(bound: str) -> None:
    """Protects reparameterised sequences: with the smoothing conditionals in q's linear layers the bound of every draw is the
    filter's log p(x); with closed forms in the optimiser left out, whose noise is another."""
    module = built(CHAIN, bound=bound, optimise=0)
    later, (loc, scale) = backward(SEEN)
    rows = torch.tensor([(slope, constant, math.log(s)) for slope, constant, s in later]).double()
    put(module, {"q_at.weight" if "q_at.weight" in module.state_dict() else "q_at.0.weight": rows.t().contiguous()})
    bias = next(n for n in module.state_dict() if re.fullmatch(r"q_at\.(0\.)?bias", n))
    put(module, {bias: torch.zeros(3)})
    raw = math.log(math.expm1(scale - 1e-4))  # scale = softplus(raw) + 1e-4
    put(module, {"q_z_1.loc": torch.tensor(loc), "q_z_1.scale": torch.tensor(raw)})
    found = step(module, {"x": SEEN.expand(20, 5)}, {}, generator(3), 2)
    torch.testing.assert_close(found.bound.detach(), kalman(SEEN).expand(20), rtol=0, atol=1e-10)


def test_a_linear_gaussian_chain_with_another_q_stays_below() -> None:
    """Protects the same with torch's initial weights: below by more than 4 standard errors of 2,000 rows."""
    torch.manual_seed(1)
    module = built(CHAIN)
    bound = step(module, {"x": SEEN.expand(2000, 5)}, {}, generator(4), 1).bound.detach()
    assert bound.mean() + 4 * bound.std() / math.sqrt(2000) < kalman(SEEN)


# --- numbers of copies ----------------------------------------------------------------------------------------

COUNTED = """model counted
observed   x : class(3)
supervised k : count(0, 2)
p(k)     = Categorical(learned)
q(k | x) = Categorical(table)
for i in 1..k {
    supervised y[i] : class(2)
    let shown[i] = linear(2)(y[i], i)
    p(y[i] | i) = Categorical(table)
    q(y[i] | x, i) = Categorical(table)
}
let all = sum(shown[*])
p(x | k, all) = Categorical(mlp(3, act = tanh))
"""


def rows_of_counts() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Every (k, y[1 … k], x), each once, with everything known; copies that do not exist hold the label 1."""
    rows = [
        (k, (*y, *[1] * (2 - k)), x) for k in range(3) for y in itertools.product(range(2), repeat=k) for x in range(3)
    ]
    k, y, x = (torch.tensor(column) for column in zip(*rows, strict=True))
    live = torch.arange(1, 3) <= k[:, None]
    return {"k": k, "y": y, "x": x}, {"k": torch.ones(len(k), dtype=torch.bool), "y": live}


def counted() -> nn.Module:
    torch.manual_seed(5)
    module = built(COUNTED)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return module


def test_the_density_of_a_count_model_sums_to_one() -> None:
    """Protects factors of copies that do not exist: with α = 0 the bound of a row that knows everything is log p(x, k, y)."""
    values, known = rows_of_counts()
    bound = step(counted(), values, known, Keyed(0.2), 1).bound.detach()
    assert float(bound.exp().sum()) == pytest.approx(1, abs=1e-12)


def test_a_copy_that_does_not_exist_has_no_influence() -> None:
    """Protects padding: other labels in copies beyond k leave every bound and gradient as it is, to the bit."""
    values, known = rows_of_counts()
    module, found = counted(), []
    for fill in (1, 0):
        padded = torch.where(known["y"], values["y"], fill)
        bound = step(module, {**values, "y": padded}, known, Keyed(0.2), 1).bound
        slopes = torch.autograd.grad(bound.sum(), list(module.parameters()), allow_unused=True)
        found.append([bound.detach(), *(s for s in slopes if s is not None)])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


BACKWARDS = """model backwards
given n : count(1, 4)
let b[5] = learned(3)
for t in 1..n {
    observed x[t] : real[2]
    latent   z[t] : real[2]
    let b[t] = gru(3)(x[t], b[t + 1])
    p(z[t])        = Normal
    p(x[t] | z[t]) = Normal(mlp(3, act = tanh))
    q(z[t] | b[t]) = Normal(mlp(3, act = tanh))
}
"""


def test_a_let_that_runs_backwards_starts_at_the_last_copy_of_a_row() -> None:
    """Protects ragged sequences read from behind: whatever stands in the padding, bounds and gradients are the same to the bit;
    and the bound of rows of n copies is that of a model with so many."""
    torch.manual_seed(3)
    module, n, x = built(BACKWARDS), torch.tensor([1, 2, 3, 4, 2]), torch.randn(5, 4, 2)
    with torch.no_grad():
        module.get_parameter(next(k for k, _ in module.named_parameters() if "b_5" in k or "b[5]" in k)).normal_()
    there, found = (torch.arange(1, 5) <= n[:, None])[..., None], []
    for padding in (0.0, 7.5):
        bound = step(module, {"n": n, "x": torch.where(there, x, padding)}, {}, Keyed(0.2), 2).bound
        slopes = torch.autograd.grad(bound.sum(), list(module.parameters()))
        found.append([bound.detach(), *slopes])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
    for i, length in enumerate(n.tolist()):
        text = BACKWARDS.replace("given n : count(1, 4)\n", "").replace("1..n", f"1..{length}")
        alone = built(text.replace("b[5]", f"b[{length + 1}]"))
        names = zip(alone.state_dict(), module.state_dict().values(), strict=True)
        alone.load_state_dict(dict(names))
        bound = step(alone, {"x": x[i : i + 1, :length]}, {}, Keyed(0.2), 2).bound
        torch.testing.assert_close(bound[0], found[0][0][i], rtol=1e-12, atol=1e-12)


# --- a plate --------------------------------------------------------------------------------------------------

PLATE = """model plate
latent g : real[2]
for i in 1..3 {
    observed   x[i] : real[2]
    supervised y[i] : class(3)
    latent     z[i] : real
    p(z[i] | g) = Normal(linear)
    p(y[i])     = Categorical(learned)
    p(x[i] | y[i], z[i]) = Normal(mlp(3, act = tanh))
    q(y[i] | x[i])       = Categorical(mlp(3, act = tanh))
    q(z[i] | x[i], y[i]) = Normal(mlp(3, act = tanh))
}
let whole = stack(x[*])
p(g) = Normal
q(g | whole) = Normal(mlp(4, act = tanh))
"""


def written_by_hand() -> str:
    """PLATE with its loop written out by replacing text, x[1] as x1."""
    head, loop, tail = re.fullmatch(r"(.*)for i in 1\.\.3 \{\n(.*)\}\n(.*)", PLATE, re.S).groups()  # type: ignore[union-attr]
    copies = "".join(loop.replace("[i]", str(i)) for i in (1, 2, 3))
    return head + copies + tail.replace("let whole = stack(x[*])\n", "").replace("whole", "x1, x2, x3")


@pytest.mark.parametrize("bound", ["snis", "iw", "clamped"])
def test_a_plate_is_the_model_written_by_hand(bound: str) -> None:
    """Protects plates through the whole compiler: bounds of rows with different copies known, and gradients summed over the
    copies' equal weights, at draws that are functions of their parameters."""
    torch.manual_seed(7)
    plate, hand = built(PLATE, bound=bound), built(written_by_hand(), bound=bound)
    owner = {n: re.sub(r"^([pq]_[xyz])[123]\.", r"\1.", n) for n in hand.state_dict()}
    put(hand, {n: plate.state_dict()[own] for n, own in owner.items()})
    x, y = torch.randn(8, 3, 2), torch.randint(0, 3, (8, 3))
    known = torch.tensor(list(itertools.product([False, True], repeat=3)))
    mine = step(plate, {"x": x, "y": y}, {"y": known}, Keyed(0.3), 3)
    flat = {f"{n}{i + 1}": t[:, i] for n, t in (("x", x), ("y", y)) for i in range(3)}
    theirs = step(hand, flat, {f"y{i + 1}": known[:, i] for i in range(3)}, Keyed(0.3), 3)
    torch.testing.assert_close(mine.bound, theirs.bound, rtol=1e-12, atol=1e-12)
    mine.objective.sum().backward()
    theirs.objective.sum().backward()
    wanted = {own: torch.zeros_like(plate.get_parameter(own)) for own in owner.values()}
    for name, parameter in hand.named_parameters():
        wanted[owner[name]] += parameter.grad if parameter.grad is not None else 0
    for name, parameter in plate.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name], rtol=1e-10, atol=1e-10)
