"""The lines `q auto` of a file come in; how its missing factors of q are to be made goes out (E0506, E02)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sgdsl.base.diagnostics import Label, Sink
from sgdsl.catalog.networks import NETWORKS
from sgdsl.frontend import syntax
from sgdsl.frontend.draft import Auto
from sgdsl.frontend.names import SYNONYMS, Declaration, Visible, check_names
from sgdsl.frontend.report import Refused, closest, did_you_mean, refusal, report

_FORMS = "`q auto`, `q auto(after)`, `q auto(mlp(500))`, `q auto(after, mlp(500))`"


def read_auto(
    statements: Sequence[syntax.Statement], declared: Mapping[str, Declaration], end: int, sink: Sink
) -> Auto:
    """What `q auto` says; without one, made factors stand at the `end` of the statements that own weights."""
    found = [s for s in statements if isinstance(s, syntax.Auto)]
    for again in found[1:]:
        first = Label(found[0].span, "the first")
        report(sink, refusal("E0506", "a second `auto` line", again.span, "the second", labels=[first],
                             hint="one line makes every factor of q that is not written"))  # fmt: skip
    if not found:
        return Auto(False, None, "", end, None)
    auto = found[0]
    above = statements[: statements.index(auto)]
    place = sum(
        isinstance(s, syntax.Net | syntax.Factor) or (isinstance(s, syntax.Let) and not s.implicit) for s in above
    )
    try:
        if auto.side.text == "p":
            raise refusal("E0506", "p is the model: its factors are written, not made", auto.span, "auto on the side of p",
                          hint="write `q auto`, and a line `p(v | …) = …` for each node")  # fmt: skip
        after, network = _arguments(auto, declared, sink)
    except Refused as refused:
        report(sink, refused)
        return Auto(False, None, "", place, auto.span)
    text = auto.texts[auto.args.index(network)] if network is not None else ""
    return Auto(after, network.value if network is not None else None, text, place, auto.span)


def _arguments(auto: syntax.Auto, declared: Mapping[str, Declaration], sink: Sink) -> tuple[bool, syntax.Arg | None]:
    """Whether `after` stands in the parentheses, and the network. Raises Refused: E0201, E0506."""
    after: syntax.Arg | None = None
    network: syntax.Arg | None = None
    for arg in auto.args:
        word = arg.value.text if isinstance(arg.value, syntax.Name) else ""
        if arg.name is not None:
            raise refusal("E0506", f"`q auto` has no option `{arg.name.text}`", arg.span, "not an option",
                          hint=f"the forms: {_FORMS}")  # fmt: skip
        if word == "after" and word not in declared:
            after = _once(arg, after)
        elif _is_network(arg.value, declared):
            network = _once(arg, network)
            check_names(arg.value, Visible(frozenset(), "`q auto`"), declared, sink)
        else:
            raise _unknown(arg, declared)
    return after is not None, network


def _once(arg: syntax.Arg, before: syntax.Arg | None) -> syntax.Arg:
    if before is not None:
        raise refusal("E0506", "`q auto` takes `after` and one network", arg.span, "one too many",
                      labels=[Label(before.span, "the first")], hint="a node that needs another one gets a q line")  # fmt: skip
    return arg


def _is_network(expr: syntax.Expr, declared: Mapping[str, Declaration]) -> bool:
    """Whether an expression is a network that can read any parents: not applied, not `table`, not `learned`."""
    match expr:
        case syntax.Name(text, _):
            return text in NETWORKS or isinstance(declared.get(text), syntax.Net)
        case syntax.Call(syntax.Name(text, _), _, _):
            return text in NETWORKS
        case syntax.Pipe(left, right, _):
            return _is_network(left, declared) and _is_network(right, declared)
        case _:
            return False


def _unknown(arg: syntax.Arg, declared: Mapping[str, Declaration]) -> Refused:
    name = arg.value.function if isinstance(arg.value, syntax.Call) else arg.value
    nets = [n for n, d in declared.items() if isinstance(d, syntax.Net)]
    candidates = (*NETWORKS, *nets, *(() if isinstance(arg.value, syntax.Call) else ("after",)))
    if isinstance(name, syntax.Name) and name.text not in declared and closest(name.text, candidates, SYNONYMS):
        return refusal("E0201", f"`q auto` knows no `{name.text}`", name.span, "not known",
                       hint=did_you_mean(name.text, candidates, "", SYNONYMS))  # fmt: skip
    return refusal("E0506", "`q auto` takes `after` and a network that is not applied", arg.span, "neither",
                   hint=f"the forms: {_FORMS}")  # fmt: skip
