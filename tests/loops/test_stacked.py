"""Weights a copy: emitted methods with stacked weights, beside the methods of one copy with that copy's weights."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sgdsl import driver
from sgdsl.base.diagnostics import Sink
from sgdsl.middle import graphs, ir
from sgdsl.middle.optimise import optimise
from sgdsl.middle.plan import plan
from sgdsl.middle.unrolled import unrolled
from sgdsl.oracle.interpret import Reader
from sgdsl.oracle.shared import shared
from sgdsl.runtime.batch import make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load
from sgdsl.runtime.stacked import StackedLayerNorm, StackedLinear, alone, by_copy
from tests.loops.by_hand import checked, looped

TEXT = """model stacks
observed   x : real[3]
supervised y : class(4)
latent     z : real[2, 2]
latent     w : real[2]
net f = linear(7)
let h = mlp(5, norm = layer)(x)
p(y)        = Categorical(learned)
p(z | y)    = Normal(loc = table, scale = learned(1))
p(w | y)    = Normal(table)
p(x | y, z, w) = Normal(loc = f >> mlp(6) >> linear(4), scale = learned(1))
q(y | h)    = Categorical(linear)
q(z | h, y) = Normal(loc = stack(learned(2), linear(2)(h, y)), scale = mlp(4))
q(w | h, y) = product(Normal(mlp(3)(h)), Normal(loc = learned, scale = linear))
"""
I, J = ir.Range("i", "i", 1, 3), ir.Range("j", "j", 1, 2)
METHODS = {
    "let_h": ("x",),
    "decode_y": (),
    "decode_z": ("y",),
    "decode_w": ("y",),
    "decode_x": ("y", "z", "w"),
    "encode_y": ("h",),
    "encode_z": ("h", "y"),
    "encode_w": ("h", "y"),
}


def own_weights(part: Any, ranges: tuple[ir.Range, ...]) -> Any:
    """A part of the IR with weights of its own for each copy wherever there are some."""
    if isinstance(part, tuple):
        return tuple(own_weights(p, ranges) for p in part)
    if not is_dataclass(part):
        return part
    assert not isinstance(part, type)
    found = {f.name: own_weights(getattr(part, f.name), ranges) for f in fields(part) if f.init}
    if isinstance(part, ir.Network | ir.Table | ir.Learned | ir.Weight):
        found["copies"] = ranges
    return replace(part, **found)


def with_loops(ranges: tuple[ir.Range, ...]) -> ir.Model:
    """TEXT in these loops, every weight but those of `f` stacked."""
    done = checked(TEXT)
    names = ("x", "y", "z", "w", "h")
    model = looped(done.model, [ir.Axis(r.axis, r.first, r.last) for r in ranges], dict.fromkeys(names, ranges))
    p, q, lets = (own_weights(part, ranges) for part in (model.p, model.q, model.lets))
    return replace(model, p=p, q=q, lets=lets)


def emitted(ranges: tuple[ir.Range, ...]) -> Any:
    """Its module."""
    return module_of(TEXT, with_loops(ranges))


def module_of(text: str, model: ir.Model) -> Any:
    """`text`: of the flat model that the model was made from."""
    done = checked(text)
    dags = graphs.build(model)
    step = optimise(model, dags, plan(model, dags, Sink(done.source)))
    return load(driver.emit(replace(done, model=model, graphs=dags, plan=step)).text, "stacks").Model().double()


def inputs(entries: int, samples: int) -> dict[str, Tensor]:
    torch.manual_seed(0)
    found = {"x": torch.randn(1, entries, 3), "z": torch.randn(samples, entries, 2, 2), "h": torch.randn(1, entries, 5)}
    found["w"] = torch.randn(1, entries, 2)
    return {n: v.double().requires_grad_() for n, v in found.items()} | {"y": torch.randint(4, (1, entries))}


def of_copy(state: dict[str, Tensor], place: tuple[int, ...], single: nn.Module) -> dict[str, Tensor]:
    """The weights of one copy, under the names and in the shapes of the model of one copy; `f` is shared."""
    return {n: state[n] if n.startswith("f.") else state[n][place] for n in single.state_dict()}


@pytest.mark.parametrize("ranges", [(I,), (I, J)], ids=["loop", "loop in a loop"])
@pytest.mark.parametrize("samples", [1, 2])
def test_each_copy_is_the_model_of_one_copy_with_its_own_weights(ranges: tuple[ir.Range, ...], samples: int) -> None:
    """Protects which weights an entry reads, where copies have unequally many entries in no order, and the gradients."""
    module, single = emitted(ranges), load(driver.compile_source(checked(TEXT).source).text, "one").Model().double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    copies = [torch.tensor([0, 2, 1, 1, 0, 2, 2, 2, 0]), torch.tensor([0, 0, 1, 0, 1, 1, 0, 1, 0])][: len(ranges)]
    names = {f"copy_{r.name}": by_copy(c, r.copies) for r, c in zip(ranges, copies, strict=True)}
    at = inputs(9, samples)
    leaves = [*module.parameters(), *(v for v in at.values() if v.requires_grad)]
    for method, reads in METHODS.items():
        found = outputs(getattr(module, method)(*(at[n] for n in reads), **names))
        wanted: list[list[Tensor]] = []
        for entry in range(9):
            state = of_copy(dict(module.named_parameters()), tuple(int(c[entry]) for c in copies), single)
            one = functional_method(single, method, state, [at[n][:, entry : entry + 1] for n in reads])
            wanted.append(outputs(one))
        for k, value in enumerate(found):
            expected = torch.cat([w[k].expand(len(value), 1, *value.shape[2:]) for w in wanted], 1)
            torch.testing.assert_close(value.expand_as(expected), expected, rtol=0, atol=1e-12)
            torch.manual_seed(1)
            weight = torch.randn(expected.shape).double()
            mine, theirs = (
                torch.autograd.grad((v.expand_as(weight) * weight).sum(), leaves, retain_graph=True, allow_unused=True)
                for v in (value, expected)
            )
            for a, b, leaf in zip(mine, theirs, leaves, strict=True):
                pair = (torch.zeros_like(leaf) if g is None else g for g in (a, b))
                torch.testing.assert_close(*pair, rtol=0, atol=1e-11)


def outputs(found: Any) -> list[Tensor]:
    return [found] if isinstance(found, Tensor) else list(found)


class Call(nn.Module):
    """A method as a module's forward, for functional_call."""

    def __init__(self, model: nn.Module, method: str) -> None:
        super().__init__()
        self.model, self.method = model, method

    def forward(self, *args: Tensor) -> Any:
        return getattr(self.model, self.method)(*args)


def functional_method(model: nn.Module, method: str, state: dict[str, Tensor], args: list[Tensor]) -> Any:
    return torch.func.functional_call(Call(model, method), {f"model.{n}": v for n, v in state.items()}, tuple(args))


def test_a_stack_starts_as_its_copies_would() -> None:
    """Protects initial weights: each copy's within torch's bounds for the layer's own width, and no two alike."""
    torch.manual_seed(0)
    stack = StackedLinear(400, 50, 3, 2)
    assert stack.weight.shape == (3, 2, 50, 400)
    for tensor in (stack.weight, stack.bias):
        assert tensor.abs().max() <= 1 / 20
        assert abs(tensor.std() * 20 - 3**-0.5) < 0.05  # 300 biases: standard error of the std is 0.015
    assert len({round(float(v), 6) for v in stack.weight.flatten(0, 1)[:, 0, 0].detach()}) == 6


def test_a_copy_without_entries_changes_nothing() -> None:
    """Protects loops `1..k`, where copies that do not live list no entries."""
    by = by_copy(torch.tensor([2, 0, 2, 2]), 4)
    value = torch.arange(8.0).reshape(1, 4, 2)
    assert by.index.shape == (4, 3)
    torch.testing.assert_close(by.together(by.apart(value)), value)
    for tensors in zip(
        *((b.copy, b.index, b.inverse) for b in (alone(1, 3, 4, value.device), by_copy(torch.ones(4).long(), 3))),
        strict=True,
    ):
        torch.testing.assert_close(*tensors)
    none = by_copy(torch.zeros(0, dtype=torch.int64), 3)
    assert StackedLayerNorm(2, 3)(StackedLinear(5, 2, 3)(none.apart(torch.zeros(2, 0, 5)))).shape == (3, 0, 2, 2)
    assert none.together(none.apart(torch.zeros(2, 0, 5))).shape == (2, 0, 5)


def test_a_step_trains_the_weights_of_every_copy() -> None:
    """Protects the call of each method: at its level, with the copies of that level."""
    torch.manual_seed(1)
    module = emitted((I,))
    known = torch.tensor([[True, False, True], [False, False, False], [True, True, True], [False, True, True]])
    values = {"x": torch.randn(4, 3, 3).double(), "y": torch.randint(4, (4, 3))}
    batch = make_batch(module, values, {"y": known}, dtype=torch.float64)
    step = module(batch, Draws(torch.Generator().manual_seed(0)))
    (-step.objective.mean()).backward()
    for name, parameter in module.named_parameters():
        for own in [parameter.grad] if name.startswith("f.") else parameter.grad.unbind(0):
            assert own.isfinite().all()
            assert own.count_nonzero() > 0, name


def test_the_oracle_reads_the_same_weights_for_each_copy() -> None:
    """Protects names and shapes of stacked weights: the loops written out have each copy's own."""
    module = emitted((I,))
    flat = unrolled(with_loops((I,)))
    reader = Reader(flat.model, shared(flat, dict(module.named_parameters())))
    at, by = inputs(3, 1), {"copy_i": by_copy(torch.arange(3), 3)}
    at["h"] = module.let_h(at["x"], **by)
    copies = {f"{n}[{i + 1}]": v[:, i] for n, v in at.items() if n != "h" for i in range(3)}
    compared = 0
    for method, reads in METHODS.items():
        side, node = {"d": "p", "e": "q"}.get(method[0]), method.split("_")[1]
        found = outputs(getattr(module, method)(*(at[n] for n in reads), **by))
        for factor in flat.model.p if side == "p" else flat.model.q if side == "q" else ():
            name, _, place = factor.node.partition("[")
            if name == node:
                wanted, compared = reader.parameters(factor, copies), compared + 1
                for value, expected in zip(found, wanted.values(), strict=True):
                    mine = value[:, int(place[0]) - 1 if value.shape[1] > 1 else 0]
                    torch.testing.assert_close(*torch.broadcast_tensors(mine, expected), rtol=0, atol=1e-12)
    assert compared == 3 * (len(METHODS) - 1)


CARRIED = """model carried
observed   x : real[2]
supervised y : class(3)
latent     before : real[2]
let m = mlp(2, act = tanh)(x, before)
p(before)    = Normal
p(y)         = Categorical
p(x | y)     = Normal(mlp(3))
q(before)    = Normal
q(y | m)     = Categorical(linear)
"""


def carried() -> ir.Model:
    """m[i] = mlp(2)[i](x[i], m[i - 1]) with m[0] = (0, 0), and q(y[i] | m[i]) with weights of its own for each i."""
    flat, kind = checked(CARRIED).model, ir.Type("real", (), (2,))
    zero = ir.Let("m[0]", ir.Call("zeros", (), None, (2,)), kind)
    back = ir.View(ir.Ref("m", kind, (2,)), (ir.Lag(I, -1),), ((0, ir.Ref("m[0]", kind, (2,))),), (2,))
    past = ir.Let("m[i - 1]", back, kind, axes=(I,))
    m = flat.let("m").value
    assert isinstance(m, ir.Apply)
    network = replace(m.network, inputs=(m.network.inputs[0], ir.Ref("m[i - 1]", kind, (2,))))
    step = ir.Let("m", own_weights(replace(m, network=network), (I,)), kind, axes=(I,))
    p, q = (tuple(replace(f, place=(I,)) for f in side if f.node != "before") for side in (flat.p, flat.q))
    nodes = tuple(replace(n, axes=(I,)) for n in flat.nodes if n.name != "before")
    statements = tuple(s for s in flat.statements if s[1] != "before")
    lets, axes = (zero, past, step), (ir.Axis("i", 1, 3),)
    return replace(flat, nodes=nodes, lets=lets, p=p, q=own_weights(q, (I,)), statements=statements, axes=axes)


def test_a_sequence_reads_the_weights_of_its_place() -> None:
    """Protects the short loop over places, in which all entries are of one copy."""
    module, flat = module_of(CARRIED, carried()), unrolled(carried())
    torch.manual_seed(0)
    x, y = torch.randn(4, 3, 2).double(), torch.randint(3, (4, 3))
    batch = make_batch(module, {"x": x, "y": y}, {"y": torch.ones(4, 3, dtype=torch.bool)}, dtype=torch.float64)
    term = next(t for name, t in module(batch, Draws(torch.Generator())).terms.items() if name.startswith("q(y"))
    reader = Reader(flat.model, shared(flat, dict(module.named_parameters())))
    at = {f"{n}[{i + 1}]": v[:, i] for n, v in {"x": x, "y": y}.items() for i in range(3)}
    wanted = torch.stack([reader.log_prob(f, at) for f in flat.model.q], 1)
    assert isinstance(term.log_prob, Tensor)
    torch.testing.assert_close(term.log_prob.reshape(4, 3), wanted, rtol=0, atol=1e-12)
