"""Chains summed along their loop, by emitted code: against the forward algorithm in numpy, all paths, models without loops."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import sgdsl
from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.oracle.keyed import Keyed
from sgdsl.runtime.batch import Step, make_batch
from sgdsl.runtime.chains import backward_sums, forward_sums
from tests.test_growth import calls

Array = np.ndarray[Any, np.dtype[np.float64]]
K, V, T = 3, 4, 5

HMM = f"""model hmm
for t in 1..{T} {{
    observed   x[t] : class({V})
    supervised z[t] : class({K})
    p(x[t] | z[t]) = Categorical(table)
}}
p(z[1]) = Categorical(learned)
q(z[1]) = Categorical(learned)
for t in 2..{T} {{
    p(z[t] | z[t - 1])    = Categorical(table)
    q(z[t] | z[t - 1], t) = Categorical(table)
}}
"""


def built(text: str, **settings: object) -> nn.Module:
    module = sgdsl.compile(text, **settings).build().double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return module


def step(module: nn.Module, x: Tensor, z: Tensor, known: Tensor) -> Step:
    module.alpha = 0.0
    found: Step = module(make_batch(module, {"x": x, "z": z}, {"z": known}), Keyed(0.2))
    return found


def patterns() -> tuple[Tensor, Tensor, Tensor]:
    """A row for each pattern of known states: x, z, known."""
    known = torch.tensor(list(itertools.product([False, True], repeat=T)))
    generator = torch.Generator().manual_seed(4)
    x = torch.randint(0, V, (len(known), T), generator=generator)
    return x, torch.randint(0, K, (len(known), T), generator=generator), known


# --- the forward algorithm (Baum and others, 1970), in numpy alone -------------------------------------------------------------


def normalised(logits: Array) -> Array:
    return np.exp(logits - np.log(np.exp(logits).sum(-1, keepdims=True)))


class Forward:
    """One row: p(x, known states), and the posteriors of states and of neighbours."""

    def __init__(self, first: Array, move: Array, seen: Array, x: Array, z: Array, known: Array) -> None:
        at = [seen[:, v] * (np.arange(K) == s if k else np.ones(K)) for v, s, k in zip(x, z, known, strict=True)]
        alpha, beta = [first * at[0]], [np.ones(K)]
        for own in at[1:]:
            alpha.append(alpha[-1] @ move * own)
        for own in at[:0:-1]:
            beta.insert(0, move @ (own * beta[0]))
        self.likelihood = float(alpha[-1].sum())
        self.state = np.stack([a * b for a, b in zip(alpha, beta, strict=True)]) / self.likelihood
        pair = [alpha[t][:, None] * move * (at[t + 1] * beta[t + 1]) for t in range(T - 1)]
        self.pair = np.stack(pair) / self.likelihood
        self.behind = np.stack([move * (at[t + 1] * beta[t + 1]) for t in range(T - 1)])


def tables(module: nn.Module) -> dict[str, Array]:
    return {n: normalised(p.detach().numpy()) for n, p in module.named_parameters()}


def forwards(module: nn.Module) -> Iterator[tuple[Forward, Array, Array]]:
    """Every row of `patterns` under p, with its x and known states."""
    p = tables(module)
    first, move, seen = p["p_z_1.logits"], p[f"p_z_t_2_{T}.table.logits"], p["p_x.table.logits"]
    for x, z, known in zip(*(t.numpy() for t in patterns()), strict=True):
        yield Forward(first, move, seen, x, z, known), x, known


def slopes(module: nn.Module) -> dict[str, Array]:
    """The gradient of Σ log p(x, known) by expected counts (Fisher's identity)."""
    p = tables(module)
    names = {"first": "p_z_1.logits", "move": f"p_z_t_2_{T}.table.logits", "seen": "p_x.table.logits"}
    found = {name: np.zeros_like(p[name]) for name in names.values()}
    for row, x, _ in forwards(module):
        found[names["first"]] += row.state[0] - p[names["first"]]
        counts = row.pair.sum(0)
        found[names["move"]] += counts - p[names["move"]] * counts.sum(1, keepdims=True)
        seen = row.state.T @ np.eye(V)[x]
        found[names["seen"]] += seen - p[names["seen"]] * seen.sum(1, keepdims=True)
    return found


def test_under_iw_the_bound_is_the_forward_algorithm() -> None:
    """Protects the sums along a chain in value and gradient: with every state summed inside the logarithm, log p(x, labels) comes
    out whatever q is, for every pattern of known states in one batch; q has no gradient at α = 0."""
    module = built(HMM, bound="iw")
    found = step(module, *patterns())
    wanted = [np.log(row.likelihood) for row, _, _ in forwards(module)]
    np.testing.assert_allclose(found.bound.detach().numpy(), wanted, rtol=0, atol=1e-12)
    found.objective.sum().backward()
    for name, slope in slopes(module).items():
        np.testing.assert_allclose(module.get_parameter(name).grad.numpy(), slope, rtol=0, atol=1e-12)
    for name, parameter in module.named_parameters():
        assert name.startswith("p_") or parameter.grad is None or parameter.grad.abs().max() < 1e-12


def unlabelled(module: nn.Module) -> Step:
    x, z, known = patterns()
    return step(module, x[:1], z[:1], torch.zeros_like(known[:1]))


def test_with_the_posterior_as_q_the_elbo_is_the_likelihood() -> None:
    """Protects the marginals of q's chain: with q the exact posterior, which reads t, the bound is log p(x), p's gradient that of
    the likelihood, and q's is zero."""
    module = built(HMM)
    row, _, _ = next(forwards(module))
    with torch.no_grad():
        module.get_parameter("q_z_1.logits").copy_(torch.from_numpy(row.state[0]).log())
        behind = torch.from_numpy(row.behind).log()  # [t, before, state], as q's table has [before, t, state]
        module.get_parameter(f"q_z_t_2_{T}.table.logits").copy_(behind.transpose(0, 1))
    found = unlabelled(module)
    assert float(found.bound.detach()) == pytest.approx(np.log(row.likelihood), abs=1e-12)
    found.objective.sum().backward()
    p = tables(module)
    counts = row.pair.sum(0)
    move = f"p_z_t_2_{T}.table.logits"
    np.testing.assert_allclose(
        module.get_parameter(move).grad.numpy(), counts - p[move] * counts.sum(1, keepdims=True), rtol=0, atol=1e-12
    )
    for name in ("q_z_1.logits", f"q_z_t_2_{T}.table.logits"):
        assert module.get_parameter(name).grad.abs().max() < 1e-12


def by_paths(module: nn.Module, bound: str) -> Tensor:
    """Every row's bound at α = 0 from all K^T paths, by the definitions of docs/objective.md, section 1."""
    p = {n: parameter.log_softmax(-1) for n, parameter in module.named_parameters()}
    paths = torch.tensor(list(itertools.product(range(K), repeat=T)))
    later, places = paths[:, 1:], torch.arange(T - 1).expand(len(paths), -1)
    q_each = torch.cat(
        [p["q_z_1.logits"][paths[:, :1]], p[f"q_z_t_2_{T}.table.logits"][paths[:, :-1], places, later]], 1
    )
    prior = p["p_z_1.logits"][paths[:, 0]] + p[f"p_z_t_2_{T}.table.logits"][paths[:, :-1], later].sum(1)
    found = []
    for x, z, known in zip(*patterns(), strict=True):
        log_p = prior + p["p_x.table.logits"][paths, x].sum(1)
        agree = ((paths == z) | ~known).all(1)
        log_r, log_w = (q_each * ~known).sum(1)[agree], (q_each * known).sum(1)[agree]
        f = log_p[agree] - log_r - log_w
        match bound:
            case "snis":
                value = ((log_r + log_w).softmax(0) * f).sum() + (log_r + log_w).logsumexp(0)
            case "jensen":
                value = ((log_r + log_w).softmax(0) * f).sum() + (log_r.exp() * log_w).sum()
            case "clamped":
                value = (log_r.exp() * (f + log_w)).sum()
            case _:
                value = log_p[agree].logsumexp(0)
        found.append(value)
    return torch.stack(found)


@pytest.mark.parametrize("bound", ["snis", "jensen", "clamped", "iw"])
def test_every_bound_is_that_of_all_paths(bound: str) -> None:
    """Protects forward and backward sums, labels that weigh earlier steps, and known steps in every pattern, with gradients."""
    settings = {"marginal": "jensen"} if bound == "jensen" else {"bound": bound}
    module = built(HMM, **settings)
    found, wanted = step(module, *patterns()), by_paths(module, bound)
    torch.testing.assert_close(found.bound, wanted, rtol=0, atol=1e-12)
    parameters = list(module.parameters())
    mine = torch.autograd.grad(found.objective.sum(), parameters, allow_unused=True)
    theirs = torch.autograd.grad(wanted.sum(), parameters, allow_unused=True)
    for one, other, parameter in zip(mine, theirs, parameters, strict=True):
        zero = torch.zeros_like(parameter)
        torch.testing.assert_close(zero if one is None else one, zero if other is None else other, rtol=0, atol=1e-11)


# --- a model without a loop ----------------------------------------------------------------------------------------------------

LOOP = """model loop
latent g : class(2)
p(g) = Categorical(learned)
for t in 1..3 {
    observed   x[t] : real[2]
    supervised c[t] : class(3)
    supervised y[t] : class(2)
    latent     u[t] : real
    p(y[t] | c[t])             = Categorical(table)
    p(u[t] | c[t])             = Normal(linear)
    p(x[t] | c[t], u[t], g)    = Normal(mlp(3, act = tanh))
    q(y[t] | c[t], x[t])       = Categorical(mlp(3, act = tanh))
    q(u[t] | c[t], x[t])       = Normal(mlp(3, act = tanh))
}
p(c[1] | g)       = Categorical(table)
q(c[1] | x[1], g) = Categorical(mlp(3, act = tanh))
for t in 2..3 {
    p(c[t] | c[t - 1], g)       = Categorical(table)
    q(c[t] | c[t - 1], x[t], g) = Categorical(mlp(3, act = tanh))
}
let all = stack(x[*])
q(g | all) = Categorical(mlp(3, act = tanh))
"""


def written_by_hand() -> str:
    """LOOP with its loops written out by replacing text, c[t - 1] at 2 as c1."""
    text = LOOP.replace("let all = stack(x[*])\n", "").replace("(g | all)", "(g | x1, x2, x3)")
    while found := re.search(r"for t in (\d)\.\.(\d) \{\n(.*?)\}\n", text, re.S):
        first, last, body = int(found[1]), int(found[2]), found[3]
        copies = [body.replace("[t - 1]", str(t - 1)).replace("[t]", str(t)) for t in range(first, last + 1)]
        text = text.replace(found[0], "".join(copies))
    return text.replace("[1]", "1")


@pytest.mark.parametrize("bound", ["snis", "jensen", "clamped", "iw"])
def test_a_chain_is_the_model_written_by_hand(bound: str) -> None:
    """Protects chains beside an enumerated node outside, draws and labels inside: bounds and gradients of rows with different
    copies known are those of the model without a loop, whose sums are variable elimination."""
    settings = {"marginal": "jensen"} if bound == "jensen" else {"bound": bound}
    loop, hand = built(LOOP, **settings), built(written_by_hand(), **settings)
    assert {m.NODES["c" if m is loop else "c2"].estimator for m in (loop, hand)} == {"enumerate"}
    owner = {n: re.sub(r"^([pq]_[xyu])[123]\.", r"\1.", n) for n in hand.state_dict()}
    owner |= {
        n: re.sub(r"^([pq]_c)1\.", r"\1_1.", re.sub(r"^([pq]_c)[23]\.", r"\1_t_2_3.", n)) for n in owner if "_c" in n
    }
    hand.load_state_dict({n: loop.state_dict()[own] for n, own in owner.items()})
    generator = torch.Generator().manual_seed(6)
    known = torch.tensor(list(itertools.product([False, True], repeat=6))).reshape(-1, 2, 3)
    x = torch.randn(len(known), 3, 2, generator=generator)
    c, y = (torch.randint(0, k, (len(known), 3), generator=generator) for k in (3, 2))
    loop.samples = hand.samples = 2
    loop.alpha = hand.alpha = 0.5
    mine = loop(make_batch(loop, {"x": x, "c": c, "y": y}, {"c": known[:, 0], "y": known[:, 1]}), Keyed(0.3))
    flat = {f"{n}{i + 1}": v[:, i] for n, v in (("x", x), ("c", c), ("y", y)) for i in range(3)}
    masks = {f"{n}{i + 1}": known[:, j, i] for j, n in enumerate("cy") for i in range(3)}
    theirs = hand(make_batch(hand, flat, masks), Keyed(0.3))
    torch.testing.assert_close(mine.bound, theirs.bound, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(mine.log_w, theirs.log_w.expand_as(mine.log_w), rtol=1e-12, atol=1e-12)
    mine.objective.sum().backward()
    theirs.objective.sum().backward()
    wanted = {own: torch.zeros_like(loop.get_parameter(own)) for own in owner.values()}
    for name, parameter in hand.named_parameters():
        wanted[owner[name]] += parameter.grad if parameter.grad is not None else 0
    for name, parameter in loop.named_parameters():
        grad = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
        torch.testing.assert_close(grad, wanted[name], rtol=1e-10, atol=1e-10)


# --- masks, and long chains ----------------------------------------------------------------------------------------------------


def test_a_state_that_is_not_known_has_no_influence() -> None:
    """Protects masks: what stands in unknown copies changes no bound and no gradient, to the bit; a row without labels has log w
    of exactly 0."""
    x, z, known = patterns()
    found = []
    for other in (z, torch.where(known, z, (z + 1) % K)):
        module = built(HMM)
        made = step(module, x, other, known)
        made.objective.sum().backward()
        assert float(made.log_w[0, 0].detach()) == 0.0
        found.append([made.bound.detach(), *(p.grad for p in module.parameters())])
    for one, same in zip(*found, strict=True):
        assert torch.equal(one, same)


def test_rows_do_not_depend_on_the_rows_beside_them() -> None:
    """Protects the tables of all copies: each row alone has the bound that it has in the batch."""
    module, rows = built(HMM), patterns()
    together = step(module, *rows).bound
    for i in range(0, len(rows[0]), 5):
        alone = step(module, *(t[i : i + 1] for t in rows)).bound
        torch.testing.assert_close(alone, together[i : i + 1], rtol=0, atol=1e-13)


def test_sums_along_a_thousand_copies_keep_their_digits() -> None:
    """Protects float32: log Σ over 3^1000 paths whose log is about -1,000 is right to 1e-6 of itself, with a known copy now and
    then, and no gradient is lost; impossible evidence is -inf."""
    generator = torch.Generator().manual_seed(1)
    single = torch.randn(1, 2, 1000, 3, generator=generator) - 2
    pairs = torch.randn(1, 2, 999, 3, 3, generator=generator)
    single[0, 0, ::7, 1:] = -1e30
    exact = sum(forward_sums(single, pairs)[1])
    rough = [t.float().requires_grad_() for t in (single, pairs)]
    total = torch.stack(forward_sums(rough[0], rough[1])[1], -1).sum(-1)
    torch.testing.assert_close(total.double(), exact, rtol=1e-6, atol=0)
    total.sum().backward()
    for tensor in rough:
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()
    assert float(rough[0].grad.sum()) == pytest.approx(2000, rel=1e-4)  # one state a copy


def test_forward_and_backward_sums_meet() -> None:
    """Protects both directions: at every copy their product adds up to the same marginals as enumeration."""
    generator = torch.Generator().manual_seed(2)
    single, pairs = torch.randn(1, 1, 4, 2, generator=generator), torch.randn(1, 1, 3, 2, 2, generator=generator)
    weight = {
        path: sum(float(single[0, 0, t, s]) for t, s in enumerate(path))
        + sum(float(pairs[0, 0, t, path[t], path[t + 1]]) for t in range(3))
        for path in itertools.product(range(2), repeat=4)
    }
    before, after = forward_sums(single, pairs)[0], backward_sums(single, pairs)
    for t in range(4):
        wanted = torch.tensor([sum(np.exp(w) for path, w in weight.items() if path[t] == s) for s in range(2)])
        found = (before[t] + after[t])[0, 0].softmax(-1)
        torch.testing.assert_close(found, wanted / wanted.sum(), rtol=0, atol=1e-13)


def long(steps: int) -> str:
    return HMM.replace(f"..{T}", f"..{steps}")


class Counted(TorchDispatchMode):
    """Counts the operations that run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.found[str(func)] += 1
        return func(*args, **(kwargs or {}))


def operations(steps: int) -> int:
    """What a step and its gradient run."""
    module = built(long(steps))
    x = torch.zeros(2, steps, dtype=torch.int64)
    batch = make_batch(module, {"x": x, "z": x}, {"z": torch.zeros(2, steps, dtype=torch.bool)})
    with Counted() as counted:
        module(batch, Keyed(0.1)).objective.sum().backward()
    return sum(counted.found.values())


def test_a_step_is_linear_in_the_length() -> None:
    """Protects the cost: the operations of a step grow by the same number for every 20 more copies, each of K × K values."""
    found = [operations(steps) for steps in (20, 40, 60)]
    assert found[2] - found[1] == found[1] - found[0] > 0


def test_a_long_sequence_compiles_as_a_short_one() -> None:
    """Protects the emitted text from growing, and the compiler: of 1,000 copies the words are those of 3, but for the numbers,
    and as many functions are called as for 12, but for a few where lines are broken."""
    short, thousand = (re.sub(r"#.*", "", sgdsl.compile(long(steps)).text) for steps in (3, 1000))
    words = [re.findall(r"\w+", re.sub(r"\d+", "0", text)) for text in (short, thousand)]
    assert words[0] == words[1]
    few, many = (
        calls(lambda steps=steps: driver.compile_source(Source("long.sgm", long(steps)))) for steps in (12, 1000)
    )  # type: ignore[misc]
    assert many < 1.05 * few


# --- ragged lengths ------------------------------------------------------------------------------------------------------------


def test_a_padded_row_is_a_short_one() -> None:
    """Protects `1..k` with k given: a row of 3 copies in a loop of up to 5 has the bound of the loop of 3, under iw the
    likelihood; and what stands in the copies that are not there changes nothing, to the bit."""
    ragged = HMM.replace("for t in 1..5", "given k : count(1, 5)\nfor t in 1..k").replace("2..5", "2..k")
    for bound in ("snis", "iw", "clamped"):
        padded, short = built(ragged, bound=bound), built(long(3), bound=bound)
        names = {n: n.replace("t_2_5", "t_2_3") for n in padded.state_dict()}
        state = {names[n]: t[:, :2] if n == "q_z_t_2_5.table.logits" else t for n, t in padded.state_dict().items()}
        short.load_state_dict(state)
        x, z, known = patterns()
        inside = torch.arange(T) < 3
        found = []
        for fill in (0, 1):
            values = {
                "k": torch.full((len(x),), 3),
                "x": torch.where(inside, x, fill),
                "z": torch.where(inside, z, fill),
            }
            batch = make_batch(padded, values, {"z": known & inside})
            found.append(padded(batch, Keyed(0.2)).bound.detach())
        assert torch.equal(*found)
        wanted = step(short, x[:, :3], z[:, :3], known[:, :3]).bound.detach()
        torch.testing.assert_close(found[0], wanted, rtol=0, atol=1e-12)
