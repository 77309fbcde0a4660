"""Which estimator each node of q gets and why: the model comes in, choices go out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

from sgdsl.base.diagnostics import Diagnostic, Label, Sink
from sgdsl.catalog.families import FAMILIES
from sgdsl.catalog.settings import resolve
from sgdsl.middle import ir
from sgdsl.middle.cases import Cases, cases
from sgdsl.middle.chains import Chain
from sgdsl.middle.coupled import read_apart
from sgdsl.middle.elimination import Eliminator
from sgdsl.middle.graphs import Graphs
from sgdsl.middle.turning import jump

CAP = 64  # values of a term's scope, up to which a finite node is enumerated by default
MOST = 4096  # values of a level, above which the file is refused


@dataclass(frozen=True, slots=True)
class Choice:
    """An estimator's name ("delta" for a deterministic node), its options, and the reason in words."""

    name: str
    reason: str
    options: tuple[tuple[str, str | float], ...] = ()

    @property
    def listed(self) -> bool:
        """Whether its values are entries of levels."""
        return self.name in ("enumerate", "sum_and_sample")

    @property
    def relaxed(self) -> bool:
        """Whether its value is a vector of weights, or stands for one."""
        return self.name in ("gumbel", "straight_through")

    @property
    def drawn(self) -> bool:
        """Whether its value varies from sample to sample."""
        return self.name not in ("enumerate", "delta")


def entries(model: ir.Model, choices: Mapping[str, Choice], name: str) -> int:
    """The values of a listed node that a row which does not know it has entries for."""
    return 2 if name in choices and choices[name].name == "sum_and_sample" else model.node(name).type.cardinality or 1


def choose(
    model: ir.Model,
    graphs: Graphs,
    draws: tuple[str, ...],
    together: Mapping[str, str],
    chains: Mapping[str, Chain],
    sink: Sink,
) -> dict[str, Choice]:
    """The estimator of every node of q: as written, else reparam where the family has it, enumerate while no term's
    scope passes CAP values, else score. Adds E0501 where a written one cannot be. `together`, `chains`: see coupled.py."""
    choices: dict[str, Choice] = {}
    counts = {axis.count for axis in model.axes}
    for name in draws:
        factor = model.factor("q", name)
        met = together.get(name) or _crossed(model, chains, name, choices)
        if factor.estimator and (written := _written(model, graphs, factor, factor.estimator, met, sink)):
            choices[name] = written
            if name in counts and written.name != "enumerate":
                wrong = f"`{name}` counts the copies of a loop, which are summed for each of its values"
                _refuse(model.node(name), factor.estimator, wrong, "enumerate", sink)
        elif name in counts:
            choices[name] = Choice("enumerate", f"{model.node(name).type.cardinality} values, it counts copies")
        elif factor.family == "Delta":
            choices[name] = Choice("delta", "a value, not a draw")
        elif FAMILIES[factor.family].reparameterised:
            wrong = jump(model, graphs, model.node(name))
            smooth = Choice("reparam", f"{factor.family} draws are smooth in their parameters")
            choices[name] = _met(wrong) if wrong else smooth
        elif name in together:
            choices[name] = _met(together[name])
    state = _cases(model, graphs, draws, choices)
    for name in draws:
        if name not in choices:
            met = _crossed(model, chains, name, choices)
            pairs = chains[name].pairs if name in chains else ()
            choices[name] = _met(met) if met else _default(model, state, name, pairs)
        state.decide(name, choices[name].name == "enumerate")
    return choices


def _met(reader: str) -> Choice:
    return Choice("score", reader, _LOO)


def _crossed(model: ir.Model, chains: Mapping[str, Chain], name: str, choices: Mapping[str, Choice]) -> str:
    """What reads copies of a chain beside those of another that is enumerated already."""
    others = [c for n, c in chains.items() if n != name and n in choices and choices[n].name == "enumerate"]
    for factor in (*model.p, *model.q) if name in chains else ():
        if chains[name].meets(factor) and (other := next((c.node for c in others if c.meets(factor)), None)):
            return (
                f"{factor.head} reads its copies beside those of `{other}`, which are summed along their loop already"
            )
    return ""


def _default(model: ir.Model, state: Cases, name: str, pairs: Collection[tuple[ir.Side, str]]) -> Choice:
    size = model.node(name).type.cardinality
    if size is None:
        return Choice("score", f"{model.factor('q', name).family} has no smooth draws and infinitely many values", _LOO)
    largest = state.most(name, [i for i, f in enumerate((*model.p, *model.q)) if (f.side, f.id) in pairs])
    if largest <= CAP:
        along = f", sums along {model.node(name).axes[-1].axis}" if pairs else ""
        return Choice("enumerate", f"{size} values{along}, and no term has more than {largest} cases")
    return Choice("score", f"a term would have {largest} cases, more than {CAP}", _LOO)


_LOO = (("baseline", "loo"),)


def _cases(model: ir.Model, graphs: Graphs, draws: tuple[str, ...], choices: Mapping[str, Choice]) -> Cases:
    """The cases of every term, before the nodes without a choice are decided."""
    inner = set(draws)
    parents = {v: [p for p in graphs.parents("q", v) if p in inner] for v in draws}
    factors = ((f.node, graphs.parents(f.side, f.node), f.side == "q") for f in (*model.p, *model.q))
    finite = [v for v in draws if model.node(v).type.cardinality is not None]
    size = {v: entries(model, choices, v) for v in finite if v not in choices or choices[v].listed}
    return cases(parents, factors, size, *listed(choices))


def listed(choices: Mapping[str, Choice]) -> tuple[set[str], set[str]]:
    """The enumerated nodes, and those enumerated in part."""
    names = ("enumerate", "sum_and_sample")
    enumerated, sampled = ({n for n, choice in choices.items() if choice.name == name} for name in names)
    return enumerated, sampled


def _written(
    model: ir.Model, graphs: Graphs, factor: ir.Factor, estimator: ir.Estimator, together: str | None, sink: Sink
) -> Choice | None:
    """The choice that `by` asks for; None, with a diagnostic, where the node or family cannot have it. `together`: what reads
    several copies of the node at once."""
    node, family = model.node(factor.node), FAMILIES[factor.family]
    size = node.type.cardinality
    finite = f"`{node.name}` is {node.type}, which has no finite list of values"
    match estimator.name:
        case "reparam":
            rough = "" if family.reparameterised else f"{family.name} has no draws that are smooth in its parameters"
            wrong = rough or jump(model, graphs, node)
        case "enumerate":
            wrong = together if size and together else ""
            wrong = wrong if size else finite
        case "sum_and_sample":
            wrong = _not_sampled(model, graphs, node, family.name)
            wrong = "copies of a loop are not summed in part" if node.axes and not wrong else wrong
        case "gumbel" | "straight_through":
            wrong = "" if size and family.name in ("Categorical", "Bernoulli") else finite
            apart = read_apart(model, node) or ("a line of its own" if len(model.pieces("q", node.name)) > 1 else None)
            if not wrong and apart:
                wrong = f"{apart} tells its copies apart: relaxed values are not read so yet"
        case _:
            wrong = "a Delta has no log-probability to score" if family.name == "Delta" else ""
    if not wrong:
        return Choice(estimator.name, "as written", estimator.options)
    summed = bool(size) and not together
    smooth = family.reparameterised and not jump(model, graphs, node)
    able = [e for e, can in (("reparam", smooth), ("enumerate", summed), ("score", True)) if can]
    _refuse(node, estimator, wrong, ", ".join(able), sink)
    return None


def _refuse(node: ir.Node, estimator: ir.Estimator, wrong: str, able: str, sink: Sink) -> None:
    """E0501."""
    sink.add(
        Diagnostic("E0501", f"`{node.name}` cannot be estimated by {estimator.name}", estimator.span, "not possible here",
                   (Label(node.span, "declared here"),), (wrong,), f"possible here: {able}; or leave `by` out")
    )  # fmt: skip


def _not_sampled(model: ir.Model, graphs: Graphs, node: ir.Node, family: str) -> str:
    """Why a sampled remainder would bias the bound, or would be no help; "" where it is right."""
    if family != "Categorical" or node.type.shape:
        return f"it takes one class of several, and `{node.name}` is {node.type}"
    if resolve(model.objective, "objective")["bound"] == "iw":
        return "under iw the sum over classes stands inside the logarithm, which a sample of it would bias"
    weighed = [d for d in model.nodes if d.role == "supervised" and d.name in graphs.q.descendants(node.name)]
    if weighed:
        return f"the label of `{weighed[0].name}` comes after it in q and weighs it, which a sample of the classes would bias"
    return ""


def check_size(model: ir.Model, sizes: Iterable[tuple[str, ...]], maker: Eliminator, sink: Sink) -> None:
    """E0503 where a level would have more than MOST entries a row."""
    for scope in sizes:
        if maker.size(scope) > MOST:
            factor = model.factor("q", scope[-1])
            names = ", ".join(f"`{n}`" for n in scope)
            sink.add(
                Diagnostic("E0503", f"enumerating {names} together has {maker.size(scope):,} cases a row", factor.span,
                           "enumerated", (), (f"at most {MOST:,} are allowed",), "write `by score` on one of them")
            )  # fmt: skip
            return


def patterns(model: ir.Model) -> tuple[tuple[str, ...], ...]:
    """The patterns of labels a file declares: none and all, and where `labels = each(…)` or there is no `data` line,
    every subset (of more than five nodes: none, each alone, all)."""
    names = tuple(n.name for n in model.nodes if n.role == "supervised")
    unwritten = None if model.data and model.data.name else ()
    labels = next((s.value for s in model.data.options if s.name == "labels"), unwritten) if model.data else ()
    if not isinstance(labels, tuple) or len(names) < 2:
        return ((), names) if names else ((),)
    if len(names) > 5:
        return ((), *((n,) for n in names), names)
    return tuple(chain.from_iterable(combinations(names, k) for k in range(len(names) + 1)))


@dataclass(frozen=True, slots=True)
class Weighed:
    """A pattern of labels: `before` (B): known nodes with an unknown parent in q; `above` (A): their unknown ancestors
    through unknown nodes; `drawn`: those of A that are drawn, over which weights vary from sample to sample."""

    known: tuple[str, ...]
    before: tuple[str, ...]
    above: tuple[str, ...]
    drawn: tuple[str, ...]


def weigh(graphs: Graphs, draws: tuple[str, ...], choices: Mapping[str, Choice], known: tuple[str, ...]) -> Weighed:
    """What the graph decides about one pattern (docs/objective.md, section 2)."""
    before, above = before_and_above(graphs, draws, known)
    return Weighed(tuple(known), before, above, tuple(v for v in above if choices[v].drawn))


def before_and_above(
    graphs: Graphs, draws: Sequence[str], known: Collection[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """B and A of one pattern, in q's order: see Weighed."""
    told = set(known)
    unknown = {v for v in draws if v not in told}
    before = tuple(v for v in draws if v in told and not unknown.isdisjoint(graphs.parents("q", v)))
    above: set[str] = set()
    todo = [p for v in before for p in graphs.parents("q", v)]
    while todo:
        node = todo.pop()
        if node in unknown and node not in above:
            above.add(node)
            todo.extend(graphs.parents("q", node))
    return before, tuple(v for v in draws if v in above)
