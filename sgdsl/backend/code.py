"""Networks and expressions as Python: IR expressions come in, statements, module constructors and value texts go out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from sgdsl.backend import other_models
from sgdsl.backend.features import (
    ELEMENTWISE,
    SIGNS,
    Feature,
    Input,
    affine,
    after,
    applied,
    called,
    conv_output,
    flat_value,
    joined,
    lone,
    padded,
    sequential,
    size_of,
    sizes,
    strip,
)
from sgdsl.backend.inputs import class_form, input_form
from sgdsl.backend.layers import Layer, before_cells, first_kind, layers, recurrence, runs_of
from sgdsl.backend.names import SubModel
from sgdsl.middle import ir
from sgdsl.middle.stacks import numbers_of


@dataclass(slots=True)
class Code:
    """The body of one method, and the modules it owns: `owner` is where they live, `whole`: the one network is the owner;
    `fused`: dense layers are one function; `copies`: what tells the copies of a range apart, by its name."""

    inputs: dict[str, Input]
    nets: dict[str, tuple[str, tuple[ir.Part, ...]]]
    owner: str
    fused: bool
    whole: bool = False
    body: list[str] = field(default_factory=list)
    modules: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    copies: Mapping[str, str] = field(default_factory=dict)
    uses: Mapping[str, SubModel] = field(default_factory=dict)

    def fresh(self, wish: str) -> str:
        """wish, wish2, wish3, …"""
        taken = {i.name for i in self.inputs.values()}
        while True:
            self.counts[wish] = self.counts.get(wish, 0) + 1
            name = wish if self.counts[wish] == 1 else f"{wish}{self.counts[wish]}"
            if name not in taken:
                return name

    def assign(self, value: str, wish: str = "h") -> str:
        name = self.fresh(wish)
        self.body.append(f"{name} = {value}")
        return name

    def features(self, network: ir.Network, sequence: str) -> list[Feature]:
        """A network applied to its inputs; its own layers become the module `sequence`."""
        nets = {net: inner for net, (_, inner) in self.nets.items()}
        mode, embeds = recurrence(network.parts, nets), first_kind(network.parts, nets) == "embed"
        read = [self.feature(e, mode == "sequence", embeds and i == 0) for i, e in enumerate(network.inputs)]
        if network.copies:
            assert not mode, "no gru has copies"
            by = self.by_copy(network.copies)
            text = self.assign(f"{by}.apart({read[0].text if len(read) == 1 and read[0].plain else joined(read)})")
            whole = Feature(text, sum(f.width for f in read), by=by)
            found = self._through(network.parts, [whole], sequence, copies=numbers_of(network.copies))
            return [replace(f, by=by) for f in found]
        if mode == "step":
            *read, state = read
            return self._through(network.parts, read, sequence, lone(state))
        return self._through(network.parts, read, sequence)

    def by_copy(self, ranges: Sequence[ir.Range]) -> str:
        """What tells the copies of these loops apart, the inner ones fastest; made once."""
        outer, *inner = (self.copies[r.name] for r in ranges)
        text = outer + "".join(f".within({name})" for name in inner)
        made = next((line for line in self.body if line.endswith(f" = {text}")), "")
        return made.split(" = ")[0] if made else self.assign(text, "copies") if inner else text

    def free(self, parameter: str, ranges: Sequence[ir.Range]) -> str:
        """A free parameter as a value, of each copy its own."""
        if not ranges:
            return f"free({parameter})"
        return f"{self.by_copy(ranges)}.own({parameter}{f', {len(ranges)}' if len(ranges) > 1 else ''})"

    def _through(
        self, parts: Sequence[ir.Part], features: list[Feature], sequence: str, state: str = "", copies: ir.Shape = ()
    ) -> list[Feature]:
        """`state`: what a recurrent cell among the parts starts from."""
        runs = runs_of(parts)
        own = [layer for run in runs if isinstance(run, list) for layer in layers(run, copies)]
        path = self.owner if self.whole else f"{self.owner}.{sequence}"
        done = 0
        for run in runs:
            if isinstance(run, str):
                module, inner = self.nets[run]
                body, counts = self.body, self.counts
                declared = Code(self.inputs, self.nets, "self", self.fused, False, body, {}, counts, uses=self.uses)
                features = declared._through(inner, features, module, state)
                continue
            for here in before_cells(layers(run, copies)):
                features = self._sequence(here, path, done, len(here) == len(own), features, state)
                done += len(here)
        if own:
            self.modules[sequence] = sequential(own)
        return features

    def _sequence(
        self, run: list[Layer], path: str, start: int, whole: bool, features: list[Feature], state: str
    ) -> list[Feature]:
        """One nn.Sequential's layers start … start + len(run): maps first, then the first linear layer, split by input."""
        if run[0].kind in ("cell", "embed") or (run[0].kind == "recurrent" and not features[0].plain):
            first = self._on_level(run[0], f"{path}[{start}]", features, state)
            return self._sequence(run[1:], path, start + 1, False, [first], state) if run[1:] else [first]
        at, end = 0, len(run)
        if run[0].kind == "map":
            maps = [f for f in features if f.map]
            at = next((i + 1 for i, layer in enumerate(run) if layer.kind == "flatten"), end)
            texts = [f"lift({f.text}, {f.up})" if f.up and len(maps) > 1 else f.text for f in maps]
            together = texts[0] if len(maps) == 1 else f"joined({', '.join(texts)}, dim=-3)"
            up = maps[0].up if len(maps) == 1 else ""
            text = self.assign(called(path, together, start, start + at, whole and at == end))
            width, shape = conv_output(run, maps, at)
            features = [Feature(text, width, 0, up, () if at < end else shape), *(f for f in features if not f.map)]
        if at < end:
            fused = self.fused and run[at].text.startswith("nn.Linear(")
            if fused or (len(features) == 1 and features[0].plain):
                text = self.assign(applied(path, features, start + at, start + end, whole and at == 0, fused))
            else:
                h = self.assign(affine(f"{path}[{start + at}]", features, False))
                text = self.assign(called(path, h, start + at + 1, start + end, False)) if at + 1 < end else h
            features = [after(run[at:end], text)]
        return features

    def _on_level(self, layer: Layer, path: str, features: list[Feature], state: str) -> Feature:
        """A cell's next state; or the last state of a sequence, or vectors of classes, on the level where these stand."""
        if layer.kind == "cell":
            values = features[0].text if len(features) == 1 and features[0].plain else joined(features)
            return Feature(self.assign(f"{path}({values}, {state})"), layer.width)
        return Feature(self.assign(f"{path}({features[0].text})"), layer.width, 0, features[0].up)

    def feature(self, expr: ir.Expr, steps: bool = False, embedded: bool = False) -> Feature:
        """An input of a network, in its input form; `steps`: each step along its first dimension on its own."""
        if isinstance(expr, ir.Ref):
            return (class_form if embedded else input_form)(self.inputs[expr.name], steps)
        text, width, rank = self.expression(expr), math.prod(expr.shape[steps:]), len(expr.shape)
        mapped = rank == 3 and not steps
        return Feature(text, width, 0, "", expr.shape) if mapped else Feature(flat_value(text, rank - steps), width)

    def expression(self, expr: ir.Expr) -> str:
        """The text of a value, [S or 1, entries, *expr.shape]; a constant is a Python number."""
        match expr:
            case ir.Number():
                return repr(expr.value)
            case ir.Ref():
                return self._value(self.inputs[expr.name])
            case ir.Operation(op="neg"):
                return f"(-{self.expression(expr.args[0])})"
            case ir.Operation():
                a, b = self._aligned(expr.args)
                return f"({a} {SIGNS[expr.op]} {b})"
            case ir.Call():
                return self._call(expr)
            case ir.Vector():
                return f"stacked({', '.join(self._tensors(expr.items))})"
            case ir.Apply():
                return self._apply(expr)
            case ir.Mean():
                return other_models.mean(self, expr)
            case ir.Weight():
                name = self.fresh("weight")
                self.modules[name] = f"nn.Parameter(torch.zeros({size_of((*numbers_of(expr.copies), *expr.shape))}))"
                return self.free(f"{self.owner}.{name}", expr.copies)
            case ir.View() | ir.Over() | ir.Place():
                raise AssertionError("copies at other places are lets of their own")
            case _:
                assert_never(expr)

    def _value(self, known: Input) -> str:
        """A parent as a number."""
        if known.relaxed and known.type.one_hot:
            return f"expected({known.lifted}, {known.type.first})"
        return f"number(self, {known.lifted})" if known.type.one_hot else known.lifted

    def _aligned(self, args: Sequence[ir.Expr]) -> list[str]:
        """Values with as many event dimensions as the longest; numbers stay numbers."""
        rank = max(len(a.shape) for a in args)
        return [padded(self.expression(a), a, rank) for a in args]

    def _tensors(self, args: Sequence[ir.Expr]) -> list[str]:
        rank = max(len(a.shape) for a in args)
        return [padded(self.tensor(a), a, rank) for a in args]

    def tensor(self, expr: ir.Expr) -> str:
        """A value that is a tensor even where it is a number."""
        return f"constant(self, {expr.value!r})" if isinstance(expr, ir.Number) else self.expression(expr)

    def _apply(self, expr: ir.Apply) -> str:
        name = "trunk" if self.whole else self.fresh("net")
        found = self.features(expr.network, name)
        if found[0].by:
            text = f"{found[0].by}.together({found[0].text})"
        elif len(found) == 1 and not found[0].classes:
            text = f"lift({found[0].text}, {found[0].up})" if found[0].up else found[0].text
        else:
            text = joined(found)
        return f"shaped({text}, {sizes(expr.shape)})"

    def _call(self, expr: ir.Call) -> str:
        rank = len(expr.args[0].shape) if expr.args else 0
        if expr.function in ELEMENTWISE:
            return f"{ELEMENTWISE[expr.function]}({strip(self.tensor(expr.args[0]))})"
        dims = tuple(range(-rank, 0)) if expr.axis is None else (expr.axis % rank - rank,)
        match expr.function:
            case "clamp":
                x, low, high = self._aligned(expr.args)
                return f"clamped_to({strip(x)}, {strip(low)}, {strip(high)})"
            case "sum" | "mean" | "max":
                name = {"sum": "sum", "mean": "mean", "max": "amax"}[expr.function]
                text = self.expression(expr.args[0])
                return f"{text}.{name}({dims[0] if len(dims) == 1 else dims})" if dims else text
            case "last":
                return self.expression(expr.args[0]) + "".join(f".select({d}, -1)" for d in dims)
            case "stack":
                return f"stacked({', '.join(self._tensors(expr.args))})"
            case "concat":
                at = (expr.axis or 0) % max(1, rank) - max(1, rank)
                texts = [self.tensor(a) + ("" if a.shape else "[..., None]") for a in expr.args]
                return f"joined({', '.join(texts)}, dim={at})"
            case "dot":
                a, b = self._aligned(expr.args)
                return f"({a} * {b}).sum(-1)"
            case "crop" | "paste" | "reshape" | "centre":
                args = ", ".join(strip(self.tensor(a)) for a in expr.args)
                size = "" if expr.function == "centre" else f", {sizes(expr.shape[1:])}"
                return f"{expr.function}({args}{size})"
            case "zeros":
                return f"constant(self, 0.0, {sizes(expr.shape)})"
        raise AssertionError(f"no text for the function {expr.function}")
