"""A method and a module for each factor and let: the IR comes in, their texts and what a call needs go out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sgdsl.backend.code import Code
from sgdsl.backend.features import Feature, Input, affine, padded, sequential, size_of, sizes, strip
from sgdsl.backend.layers import deconv_head, layers
from sgdsl.backend.names import Named
from sgdsl.catalog.families import FAMILIES, FamilyRow
from sgdsl.middle import ir
from sgdsl.middle.elimination import Scope
from sgdsl.middle.graphs import factor_reads, references
from sgdsl.middle.plan import Plan

Nets = dict[str, tuple[str, tuple[ir.Part, ...]]]


@dataclass(frozen=True, slots=True)
class Method:
    """`name` "": no method, the parameters are the numbers `constants`. `reads`: nodes and lets it takes, in order;
    `level`: the level it computes on; `lifts`: inputs below that level; `free`: for each parameter, whether it
    depends on no input."""

    name: str
    reads: tuple[str, ...]
    level: Scope
    lifts: tuple[str, ...]
    body: tuple[str, ...]
    module: str
    attribute: str
    free: tuple[bool, ...]
    constants: tuple[str, ...] = ()


def factor_method(factor: ir.Factor, plan: Plan, named: Named, nets: Nets, types: Mapping[str, ir.Type]) -> Method:
    """The method `encode_v` or `decode_v` of a factor: parents in, the family's parameters out."""
    family = FAMILIES[factor.family]
    attribute = f"{factor.side}_{factor.node}"
    reads = factor_reads(factor)
    level, lifts = level_of(reads, plan)
    code = Code(inputs_of(reads, lifts, plan, named, types), nets, "net")
    trunk = code.features(factor.trunk, "trunk") if factor.trunk else []
    texts = [_parameter(code, factor, family, p, trunk) for p in factor.parameters]
    free = tuple(_free(p.source) for p in factor.parameters)
    if not code.modules and not reads:
        uniform = [f"constant(self, 0.0, {sizes(p.shape)})" for p in factor.parameters]
        numbers = all(isinstance(p.source, ir.Default) or _number(p.source) for p in factor.parameters)
        classes = family.parameters[0].classes
        if numbers:
            plain = uniform if classes and isinstance(factor.parameters[0].source, ir.Default) else texts
            return Method("", (), (), (), (), "", attribute, free, tuple(plain))
    body = [f"net = self.{attribute}"] if code.modules else []
    body += [*code.body, f"return {', '.join(strip(t) for t in texts)}"]
    name = f"{'encode' if factor.side == 'q' else 'decode'}_{factor.node}"
    module = f"Parts({', '.join(f'{k}={v}' for k, v in _grouped(code.modules).items())})" if code.modules else ""
    return Method(name, reads, level, lifts, tuple(body), module, attribute, free)


def let_method(let: ir.Let, plan: Plan, named: Named, nets: Nets, types: Mapping[str, ir.Type]) -> Method:
    """The method `let_h` of a let; its one network, if that is all it is, becomes the module of its name."""
    reads = tuple(dict.fromkeys(ref.name for ref in references(let.value)))
    level, lifts = level_of(reads, plan)
    attribute = named.modules[let.name]
    whole = isinstance(let.value, ir.Apply)
    code = Code(inputs_of(reads, lifts, plan, named, types), nets, f"self.{attribute}", whole)
    if isinstance(let.value, ir.Ref):
        text = code.inputs[let.value.name].lifted
    else:
        text = code.expression(let.value)
        text = f"constant(self, {text})" if isinstance(let.value, ir.Number) else strip(text)
    module = ""
    if code.modules:
        only = next(iter(code.modules.values()))
        module = only if whole else f"Parts({', '.join(f'{k}={v}' for k, v in code.modules.items())})"
    return Method(
        f"let_{let.name}", reads, level, lifts, (*code.body, f"return {text}"), module, attribute, (not reads,)
    )


def net_module(net: ir.Net) -> str:
    """The constructor of a declared net's own layers; "" where it only names other nets."""
    stages = [p for p in net.parts if isinstance(p, ir.Stage)]
    return sequential(layers(stages)) if stages else ""


def level_of(reads: Sequence[str], plan: Plan) -> tuple[Scope, tuple[str, ...]]:
    level = plan.scopes.union(reads)
    return level, tuple(name for name in reads if plan.scopes[name] != level)


def inputs_of(
    reads: Sequence[str], lifts: Sequence[str], plan: Plan, named: Named, types: Mapping[str, ir.Type]
) -> dict[str, Input]:
    return {
        name: Input(
            named.values[name], types[name], relaxed(plan, name), named.derived["up", name] if name in lifts else ""
        )
        for name in reads
    }


def relaxed(plan: Plan, name: str) -> bool:
    """Whether a node's value is a vector of weights in the step."""
    return name in plan.choices and plan.choices[name].name in ("gumbel", "straight_through")


def _free(source: ir.ParameterSource) -> bool:
    match source:
        case ir.Head() | ir.Own() | ir.Table():
            return False
        case ir.Value():
            return not any(True for _ in references(source.expr))
        case _:
            return True


def _number(source: ir.ParameterSource) -> bool:
    return isinstance(source, ir.Value) and isinstance(source.expr, ir.Number)


def _parameter(code: Code, factor: ir.Factor, family: FamilyRow, parameter: ir.Parameter, trunk: list[Feature]) -> str:
    """The text of one parameter, mapped to its domain, in the family's own parameterisation."""
    row = family.parameter(parameter.name)
    other = next((i for i in family.instead if i[0] == parameter.name), None)
    domain = row.domain if row else "probability"
    match parameter.source:
        case ir.Default():
            return repr(parameter.source.value)
        case ir.Value():
            text = _closed(code, parameter, parameter.source.expr, domain)
            return f"{other[2]}({text})" if other else text
        case ir.Head():
            raw = _head(code, parameter, factor.trunk, trunk)
        case ir.Own():
            features = code.features(parameter.source.network, f"{parameter.name}_trunk")
            raw = _head(code, parameter, parameter.source.network, features)
        case ir.Learned():
            code.modules[parameter.name] = f"nn.Parameter(torch.zeros({size_of(parameter.source.shape)}))"
            raw = f"free({code.owner}.{parameter.name})"
        case ir.Table():
            raw = _table(code, parameter, parameter.source)
    return _mapped(raw, domain, parameter.floor)


def _mapped(raw: str, domain: str, floor: float | None) -> str:
    match domain:
        case "positive":
            return f"positive({raw}{f', {floor!r}' if floor else ''})"
        case "degrees":
            return f"degrees({raw})"
        case "probability":
            return f"probability({raw})"
        case _:
            return raw


def _closed(code: Code, parameter: ir.Parameter, expr: ir.Expr, domain: str) -> str:
    """A value brought into the parameter's open domain."""
    if isinstance(expr, ir.Number):
        if parameter.name == "probs":
            return f"clip_probability(constant(self, {expr.value!r}))"
        return repr(expr.value)
    if domain == "value" and isinstance(expr, ir.Ref):
        return code.inputs[expr.name].lifted
    text = padded(code.expression(expr), expr, len(parameter.shape))
    match domain:
        case "positive" | "degrees":
            return f"at_least({strip(text)}, 1e-4)"
        case "probability":
            return f"clip_probability({strip(text)})"
        case _:
            return text


def _head(code: Code, parameter: ir.Parameter, network: ir.Network | None, features: list[Feature]) -> str:
    assert network is not None
    layer = f"{code.owner}.{parameter.name}"
    last = network.parts[-1] if network.parts else None
    if isinstance(last, ir.Stage) and last.kind == "deconv":
        code.modules[parameter.name] = deconv_head(last, parameter.shape[0])
        return f"shaped({layer}({features[0].text}), {sizes(parameter.shape)})"
    width = sum(f.width for f in features)
    code.modules[parameter.name] = f"nn.Linear({width}, {math.prod(parameter.shape)})"
    return f"shaped({', '.join(t for t in (affine(layer, features), sizes(parameter.shape)) if t)})"


def _table(code: Code, parameter: ir.Parameter, table: ir.Table) -> str:
    axes: list[int] = []
    index: list[str] = []
    for ref in table.parents:
        known = code.inputs[ref.name]
        size = known.type.values or 0
        text = known.lifted
        if not known.type.one_hot:
            text = f"torch.stack((1 - {text}, {text}), -1)" if known.relaxed else f"{text}.long()"
        elif known.type.first and not known.relaxed:
            text = f"{text} - {known.type.first}"
        axes += [size] * known.type.cells
        tail = ", :" if known.relaxed else ""
        for cell in _cells(known.type.shape):
            index.append(f"({text})[..., {', '.join(map(str, cell))}{tail}]" if cell else text)
    spread = 1.0 if parameter.name == "loc" else 0.1
    start = f"nn.Parameter(torch.randn({sizes((*axes, *parameter.shape))})" + (")" if spread == 1 else f" * {spread})")
    code.modules[f"table.{parameter.name}"] = start
    return f"rows_of({code.owner}.table.{parameter.name}, {', '.join(index)})"


def _cells(shape: ir.Shape) -> list[tuple[int, ...]]:
    cells: list[tuple[int, ...]] = [()]
    for size in shape:
        cells = [(*c, i) for c in cells for i in range(size)]
    return cells


def _grouped(modules: Mapping[str, str]) -> dict[str, str]:
    """`table.loc` and `table.scale` as one part `table`."""
    tables = {k.removeprefix("table."): v for k, v in modules.items() if k.startswith("table.")}
    found = {k: v for k, v in modules.items() if not k.startswith("table.")}
    if tables:
        found["table"] = f"Parts({', '.join(f'{k}={v}' for k, v in tables.items())})"
    return found
