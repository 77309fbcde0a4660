"""The parameters of a family as text: their sources in the IR come in, values mapped to their domains and modules go out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sgdsl.backend.code import Code
from sgdsl.backend.features import Feature, affine, flat, padded, size_of, sizes, strip
from sgdsl.backend.layers import deconv_head, linear
from sgdsl.catalog.families import FamilyRow, ParameterRow
from sgdsl.middle import ir
from sgdsl.middle.graphs import references
from sgdsl.middle.stacks import has_copies, numbers_of


def parameters(code: Code, trunk: ir.Network | None, family: FamilyRow, written: Sequence[ir.Parameter]) -> list[str]:
    """The texts of a family's parameters; their modules join those of `code`."""
    features = code.features(trunk, "trunk") if trunk else []
    names = [p.name for p in written if isinstance(p.source, ir.Head)]
    heads = _together(code, features[0], names) if names and code.fused and _is_dense(trunk, features) else {}
    return [_parameter(code, trunk, family, p, features, heads) for p in written]


def _together(code: Code, feature: Feature, names: Sequence[str]) -> dict[str, str]:
    """The variables of linear heads of one value: made by the call that makes the value, where that is one, or as one product."""
    listed = ", ".join(f"{code.owner}.{name}" for name in names)
    found = dict(zip(names, map(code.fresh, names), strict=True))
    start = f"{feature.text} = through("
    if code.body and code.body[-1].startswith(start):
        call = code.body.pop().removeprefix(f"{feature.text} = ").removesuffix(")")
        text = f"{call}, then={listed})" if len(names) == 1 else f"{call}, then=[{listed}])"
    elif len(names) > 1:
        text = f"heads({flat(feature)}, {listed})"
    else:
        return {}
    code.body.append(f"{', '.join(found.values())} = {text}")
    return found


def _is_dense(network: ir.Network | None, features: Sequence[Feature]) -> bool:
    """Whether heads are linear layers of one value, the same for all copies."""
    last = network.parts[-1] if network and network.parts else None
    convolved = isinstance(last, ir.Stage) and last.kind == "deconv"
    return len(features) == 1 and features[0].plain and not (features[0].by or convolved)


def constants(factor: ir.Factor, texts: Sequence[str]) -> tuple[str, ...]:
    """Parameters that are numbers, as tensors where a class needs one for each value."""
    classes = len(factor.parameters[0].shape) > 0 and factor.family == "Categorical"
    if classes and isinstance(factor.parameters[0].source, ir.Default):
        return tuple(f"constant(self, 0.0, {sizes(p.shape)})" for p in factor.parameters)
    return tuple(texts)


def is_free(source: ir.ParameterSource) -> bool:
    """Whether it depends on no input."""
    match source:
        case ir.Head() | ir.Own() | ir.Table():
            return False
        case ir.Value():
            return not any(True for _ in references(source.expr)) and not has_copies(source.expr)
        case ir.Learned():
            return not source.copies
        case _:
            return True


def is_number(source: ir.ParameterSource) -> bool:
    """Whether it is a number of the file or a family's default."""
    return isinstance(source, ir.Default) or (isinstance(source, ir.Value) and isinstance(source.expr, ir.Number))


def _parameter(
    code: Code,
    network: ir.Network | None,
    family: FamilyRow,
    parameter: ir.Parameter,
    trunk: list[Feature],
    heads: Mapping[str, str],
) -> str:
    """The text of one parameter, mapped to its domain, in the family's own parameterisation. `heads`: the variables of those
    that were computed together."""
    row = family.parameter(parameter.name)
    other = next((i for i in family.instead if i[0] == parameter.name), None)
    domain = row.domain if row else "probability"
    match parameter.source:
        case ir.Default():
            return _number(row, parameter, parameter.source.value)
        case ir.Value(ir.Number(value)) if row and row.whole:
            return _number(row, parameter, value)
        case ir.Value():
            text = _closed(code, parameter, parameter.source.expr, domain)
            return _spread(row, parameter, f"{other[2]}({text})" if other else text, parameter.source.expr.shape)
        case ir.Head():
            assert row is not None
            raw = _head(code, row, parameter, network, trunk, heads.get(parameter.name, ""))
        case ir.Own():
            assert row is not None
            features = code.features(parameter.source.network, f"{parameter.name}_trunk")
            raw = _head(code, row, parameter, parameter.source.network, features)
        case ir.Learned():
            assert row is not None
            raw = _learned(code, row, parameter, parameter.source)
            return _spread(row, parameter, _mapped(raw, domain, parameter.floor), parameter.source.shape)
        case ir.Table():
            assert row is not None
            raw = _table(code, row, parameter, parameter.source)
        case _:
            raise AssertionError(f"{parameter.name} has no text of its own")
    return _mapped(raw, domain, parameter.floor)


def _number(row: ParameterRow | None, parameter: ir.Parameter, value: float) -> str:
    """A number; as a tensor where the family reads the cells together."""
    if row and row.domain == "triangle":
        return f"identity(self, {value!r}, {parameter.shape[-1]})"
    return f"constant(self, {value!r}, {sizes(parameter.shape)})" if row and row.whole else repr(value)


def _spread(row: ParameterRow | None, parameter: ir.Parameter, text: str, shape: ir.Shape) -> str:
    """At every cell where the family reads the cells together."""
    if row is None or not row.whole or shape[-1:] == parameter.shape[-1:]:
        return text
    return f"{text}.expand({', '.join(['-1'] * (1 + len(parameter.shape)))}, {parameter.shape[-1]})"


def _learned(code: Code, row: ParameterRow, parameter: ir.Parameter, source: ir.Learned) -> str:
    stack = (*numbers_of(source.copies), *source.shape)
    start = "ones" if row.domain == "axis" else "zeros"  # 0 points nowhere
    code.modules[parameter.name] = f"nn.Parameter(torch.{start}({size_of(stack)}))"
    text, rank = code.free(f"{code.owner}.{parameter.name}", source.copies), len(row.free(parameter.shape))
    if not source.copies or rank == len(source.shape):
        return text
    return f"{text}[..., 0]" if rank == 0 else f"pad({text}, {rank - len(source.shape)})"


def _mapped(raw: str, domain: str, floor: float | None) -> str:
    match domain:
        case "positive":
            return f"positive({raw}{f', {floor!r}' if floor else ''})"
        case "degrees":
            return f"degrees({raw})"
        case "probability":
            return f"probability({raw})"
        case "axis":
            return f"on_sphere({raw})"
        case "triangle":
            return f"triangle({raw}{f', {floor!r}' if floor else ''})"
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
        case "axis":
            return f"on_sphere({strip(text)})"
        case "triangle":
            return f"lower({strip(text)})"
        case _:
            return text


def _head(
    code: Code,
    row: ParameterRow,
    parameter: ir.Parameter,
    network: ir.Network | None,
    features: list[Feature],
    made: str = "",
) -> str:
    """`made`: the variable of the head's features, where all heads are computed together."""
    assert network is not None
    layer, raw = f"{code.owner}.{parameter.name}", row.raw(parameter.shape)
    last = network.parts[-1] if network.parts else None
    if isinstance(last, ir.Stage) and last.kind == "deconv":
        code.modules[parameter.name] = deconv_head(last, math.prod(raw[:-2]))
        return _pointed(row, f"shaped({layer}({features[0].text}), {sizes(raw)})")
    width = sum(f.width for f in features)
    code.modules[parameter.name] = linear(width, math.prod(raw), numbers_of(network.copies))
    by = features[0].by
    text = f"{by}.together({layer}({features[0].text}))" if by else made or affine(layer, features, code.fused)
    return _pointed(row, f"shaped({', '.join(t for t in (text, sizes(raw)) if t)})")


def _pointed(row: ParameterRow, raw: str) -> str:
    """The heads of an angle are a point, seen from the origin; a learned or tabled one is the angle itself."""
    return f"angle_of({raw})" if row.domain == "angle" else raw


def _table(code: Code, row: ParameterRow, parameter: ir.Parameter, table: ir.Table) -> str:
    axes: list[int] = [*numbers_of(table.copies)]
    index: list[str] = [f"{code.copies[r.name]}.copy[None]" for r in table.copies]
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
    start = f"nn.Parameter(torch.randn({sizes((*axes, *row.free(parameter.shape)))})" + (
        ")" if spread == 1 else f" * {spread})"
    )
    code.modules[f"table.{parameter.name}"] = start
    return f"rows_of({code.owner}.table.{parameter.name}, {', '.join(index)})"


def _cells(shape: ir.Shape) -> list[tuple[int, ...]]:
    cells: list[tuple[int, ...]] = [()]
    for size in shape:
        cells = [(*c, i) for c in cells for i in range(size)]
    return cells


def module_of(modules: Mapping[str, str]) -> str:
    """The constructor of a factor's modules, `table.loc` and `table.scale` as one part `table`; "" for none."""
    tables = {k.removeprefix("table."): v for k, v in modules.items() if k.startswith("table.")}
    found = {k: v for k, v in modules.items() if not k.startswith("table.")}
    if tables:
        found["table"] = f"Parts({', '.join(f'{k}={v}' for k, v in tables.items())})"
    return f"Parts({', '.join(f'{k}={v}' for k, v in found.items())})" if found else ""
