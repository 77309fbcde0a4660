"""The one name space of a file: statements come in, what each name stands for goes out; E02 for names that clash,
are unknown, or stand where something else must."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sgdsl.base.diagnostics import Label, Sink
from sgdsl.base.source import Span
from sgdsl.catalog.families import FAMILIES, SIDES
from sgdsl.catalog.functions import FUNCTIONS
from sgdsl.catalog.networks import NETWORKS, SOURCES
from sgdsl.frontend import syntax
from sgdsl.frontend.planned import PLANNED_FAMILIES, PLANNED_NAMES, planned_name
from sgdsl.frontend.report import Refused, did_you_mean, refusal, report
from sgdsl.frontend.uses import check_mean

Declaration = syntax.Const | syntax.Var | syntax.Let | syntax.Net | syntax.Use
RESERVED = frozenset((*FAMILIES, *SIDES, *FUNCTIONS, *NETWORKS, *SOURCES, *PLANNED_NAMES))
SYNONYMS = {
    "gaussian": "Normal", "normaldistribution": "Normal", "multinomial": "Categorical", "onehotcategorical": "Categorical",
    "discrete": "Categorical", "binary": "Bernoulli", "negbinomial": "NegativeBinomial", "nb": "NegativeBinomial",
    "zinb": "ZeroInflatedNegativeBinomial", "student": "StudentT", "t": "StudentT", "dirac": "Delta",
    "deterministic": "Delta", "dense": "linear", "fc": "mlp", "fully_connected": "mlp", "nn": "mlp", "cnn": "conv",
    "conv2d": "conv", "convtranspose": "deconv", "upconv": "deconv", "cat": "concat", "clip": "clamp",
    "logistic": "sigmoid", "pow": "square", "power": "square", "avg": "mean", "parameter": "learned", "param": "learned",
    "embedding": "linear", "affine": "linear", "lookup": "table", "uniform": "Categorical",
}  # fmt: skip


def kind_of(declaration: Declaration) -> str:
    """What a name stands for, in words."""
    match declaration:
        case syntax.Const():
            return "a const"
        case syntax.Let():
            return "a let"
        case syntax.Net():
            return "a net"
        case syntax.Use():
            return "another model"
        case syntax.Var(role):
            return {"observed": "an observed node"}.get(role, f"a {role} node")


def declare(statements: Iterable[syntax.Statement], sink: Sink) -> dict[str, Declaration]:
    """Every declared name, the first declaration of each. Adds E0202, E0203."""
    declared: dict[str, Declaration] = {}
    for statement in statements:
        if not isinstance(statement, Declaration):
            continue
        name = statement.name
        if name.text in RESERVED:
            report(sink, refusal("E0203", f"the name `{name.text}` is taken: {_taken(name.text)}", name.span, "reserved",
                                 hint=f"choose another name, `{name.text}_1`"))  # fmt: skip
        if name.text in declared:
            first = Label(declared[name.text].name.span, f"{kind_of(declared[name.text])}, declared here")
            report(sink, refusal("E0202", f"`{name.text}` is declared twice", name.span, "the second", labels=[first],
                                 hint="nodes, lets, nets, consts and used models share one name space"))  # fmt: skip
        else:
            declared[name.text] = statement
    return declared


def _taken(name: str) -> str:
    for table, what in ((FAMILIES, "a family"), (FUNCTIONS, "a function"), (NETWORKS, "a network")):
        if name in table:
            return what
    return "a family" if name in PLANNED_FAMILIES else "a word of the language"


def parts(expr: syntax.Expr) -> Iterator[syntax.Expr]:
    """An expression and all expressions in it, from the outside in."""
    yield expr
    match expr:
        case syntax.Unary(arg, _):
            inner: tuple[syntax.Expr, ...] = (arg,)
        case syntax.Binary(_, left, right, _) | syntax.Pipe(left, right, _):
            inner = (left, right)
        case syntax.Items(items, _):
            inner = items
        case syntax.Call(function, args, _):
            inner = (function, *(a.value for a in args))
        case syntax.Of(_, _, _, args, _):
            inner = tuple(a.value for a in args)
        case _:
            inner = ()
    for part in inner:
        yield from parts(part)


def references(expr: syntax.Expr) -> Iterator[tuple[syntax.Name, bool]]:
    """The names in an expression that stand for something, and whether each is called. Options of networks
    (`norm = batch`) are none."""
    match expr:
        case syntax.Name():
            yield expr, False
        case syntax.Unary(arg, _):
            yield from references(arg)
        case syntax.Binary(_, left, right, _) | syntax.Pipe(left, right, _):
            yield from references(left)
            yield from references(right)
        case syntax.Items(items, _):
            for item in items:
                yield from references(item)
        case syntax.Call(function, args, _):
            if isinstance(function, syntax.Name):
                yield function, True
            else:
                yield from references(function)
            options = isinstance(function, syntax.Name) and function.text in NETWORKS
            for argument in args:
                if not (options and argument.name):
                    yield from references(argument.value)
        case syntax.Item(value, _, _):
            yield from references(value)
        case syntax.View(source, _, edges, _):
            yield from ((name, False) for name in (source, *(edge for _, edge in edges)))
        case syntax.Over(_, source, _):
            yield source, False
        case syntax.Of(_, _, _, args, _):  # the node is one of the other model's
            for argument in args:
                yield from references(argument.value)
        case syntax.Number() | syntax.Text() | syntax.Place() | syntax.Member():
            return


def typed_by(expr: syntax.Expr) -> syntax.Expr:
    """What an expression's type follows from: of copies that begin with some that are written alone, from these, since
    the others may read themselves."""
    if isinstance(expr, syntax.View) and expr.edges:
        return syntax.Items(tuple(edge for _, edge in expr.edges), expr.span)
    return expr


def reads(expr: syntax.Expr, declared: Mapping[str, Declaration]) -> tuple[str, ...]:
    """The declared names that an expression reads, once each, in order."""
    return tuple(dict.fromkeys(n.text for n, _ in references(expr) if n.text in declared))


@dataclass(frozen=True, slots=True)
class Visible:
    """What an expression may read: `names`, and those `lets` that read none but `nodes`; consts and nets always."""

    names: frozenset[str]
    reader: str  # "this factor", "a let", "a net"
    head: Span | None = None  # where the parents are listed
    lets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    nodes: frozenset[str] = frozenset()

    def __contains__(self, name: str) -> bool:
        return name in self.names or (name in self.lets and self.lets[name] <= self.nodes)

    def __iter__(self) -> Iterator[str]:
        yield from self.names
        yield from (let for let in self.lets if let not in self.names and let in self)


def check_names(expr: syntax.Expr, visible: Visible, declared: Mapping[str, Declaration], sink: Sink) -> None:
    """Add E0190, E0201, E0204, E0205, E0221, E0222 for the names of an expression."""
    for inner in parts(expr):
        if isinstance(inner, syntax.Of | syntax.Member):
            try:
                check_mean(inner, declared)
            except Refused as refused:
                report(sink, refused)
    for name, called in references(expr):
        try:
            _check_name(name, called, visible, declared)
        except Refused as refused:
            report(sink, refused)


def _check_name(name: syntax.Name, called: bool, visible: Visible, declared: Mapping[str, Declaration]) -> None:
    text = name.text
    if text in declared:
        _check_declared(name, called, visible, declared[text])
    elif text in PLANNED_NAMES:
        raise planned_name(name)
    elif text in FAMILIES:
        raise refusal("E0205", f"`{text}` is a family: it stands at the start of a right-hand side", name.span,
                      "not a value", hint="p(v | …) = Family(network or values)")  # fmt: skip
    elif text in SIDES:
        raise refusal("E0205", f"`{text}` is a whole right-hand side", name.span, "not a value",
                      hint=f"write `q(v | …) = {SIDES[text]}`")  # fmt: skip
    elif text in FUNCTIONS:
        if not called:
            raise refusal("E0205", f"`{text}` is a function: it needs arguments", name.span, "a function",
                          hint=f"write `{text}(…)`")  # fmt: skip
    elif text not in NETWORKS and text not in SOURCES:
        candidates = [*visible, *(n for n, d in declared.items() if isinstance(d, syntax.Const | syntax.Net))]
        if called:
            candidates = [n for n in candidates if n in declared and isinstance(declared[n], syntax.Net)]
            candidates += [*NETWORKS, *SOURCES, *FUNCTIONS]
        what = "network or function" if called else "name"
        hint = did_you_mean(text, candidates, _unknown_hint(called, candidates), SYNONYMS)
        raise refusal("E0201", f"there is no {what} `{text}`", name.span, "not declared", hint=hint)


def _unknown_hint(called: bool, candidates: list[str]) -> str:
    if called:
        return f"networks: {', '.join(NETWORKS)}; functions: {', '.join(FUNCTIONS)}"
    found = sorted(
        n for n in candidates if n.isidentifier()
    )  # lets that the compiler made are named by what they stand for
    return f"names here: {', '.join(found[:12])}" if found else ""


def _check_declared(name: syntax.Name, called: bool, visible: Visible, declaration: Declaration) -> None:
    text, here = name.text, Label(declaration.name.span, "declared here")
    if called and not isinstance(declaration, syntax.Net):
        raise refusal("E0205", f"`{text}` is {kind_of(declaration)}: it cannot be applied", name.span,
                      "not a network or function", labels=[here], hint="write `*` for a product")  # fmt: skip
    if isinstance(declaration, syntax.Const | syntax.Net) or text in visible:
        return
    if isinstance(declaration, syntax.Use):
        raise refusal("E0205", f"`{text}` is another model, no value", name.span, "not a value", labels=[here],
                      hint=f"write `{text}.mean(v | …)`, or a factor `{text}.p(v | …)` as a right-hand side")  # fmt: skip
    if visible.reader == "this factor":
        labels = [Label(visible.head, "its parents")] if visible.head else []
        raise refusal("E0204", f"`{text}` is not a parent of {visible.reader}", name.span, "not among the parents",
                      labels=labels, hint=f"add it behind the bar: `| {text}`, or read a parent")  # fmt: skip
    raise refusal("E0205", f"{visible.reader} cannot read `{text}`, {kind_of(declaration)}", name.span, labels=[here])
