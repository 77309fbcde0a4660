"""Classes of the models that a model uses: its IR and plan come in, a class each goes out, with the methods that are called.

Values reach a used model on one level, so that its methods lift nothing; its own estimators are not asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from sgdsl.backend.calls import parameter_names
from sgdsl.backend.classes import emit_method, emit_modules, methods_of
from sgdsl.backend.methods import Method, relaxed
from sgdsl.backend.names import Named, Names, SubMethod, SubModel, name_all
from sgdsl.backend.runtime_names import names_of
from sgdsl.backend.used_loops import Taken, called_methods, emit_copies, emit_facts, in_loops, taken
from sgdsl.backend.writer import Writer
from sgdsl.middle import ir
from sgdsl.middle.optimise import plan_of_used
from sgdsl.middle.plan import Plan
from sgdsl.middle.used import Called, called, networks_of, reached

Wanted = Mapping[tuple[str, str], None]


@dataclass(slots=True)
class SubModels:
    """Emits the classes of all models that the one of `plan` uses, each behind those that it uses itself."""

    plan: Plan
    classes: Names
    out: Writer = field(default_factory=Writer)

    def of(
        self, model: ir.Model, plan: Plan, named: Named, wanted: Wanted | None = None, above: str = ""
    ) -> dict[str, SubModel]:
        """The models that a model uses, by their names in it; `wanted`: its lets and factors that are emitted, None for all;
        `above`: its class."""
        found = {}
        calls = [c for c in called(model) if wanted is None or c.owner in wanted]
        for use in model.uses:
            mine = [c for c in calls if c.use == use.name]
            if mine:
                name = self.classes.new(above + "".join(word.capitalize() for word in use.name.split("_")))
                attribute = named.modules[use.name]
                found[use.name] = self._class(use, mine, name, attribute, _soft(use, mine, plan))
        return found

    def _class(self, use: ir.Use, calls: Iterable[Called], name: str, attribute: str, soft: frozenset[str]) -> SubModel:
        model = use.model
        plan = plan_of_used(model, soft, self.plan.rewrites)
        plan = in_loops(model, plan) if model.axes else plan
        named = name_all(model, names_of())
        wanted = reached(model, [(c.side, f.id) for c in calls for f in model.pieces(c.side, c.node)])
        named = replace(named, uses=self.of(model, plan, named, wanted, name))
        nets = {n.name: (named.modules[n.name], n.parts) for n in model.nets}
        types = {n.name: n.type for n in model.nodes} | {h.name: h.type for h in model.lets}
        methods = methods_of(model, plan, named, nets, types)
        found = taken(use, calls)
        self._emit(use, name, {k: methods[k] for k in wanted if k in methods}, named, wanted, plan, found)
        made = {k: SubMethod(m.name, m.reads, m.partial, m.free, m.constants) for k, m in methods.items()}
        made = called_methods(use, found, named) if model.axes else made
        return SubModel(attribute, f"{name}(){'.freeze()' * use.frozen}", use, made, soft)

    def _emit(
        self,
        use: ir.Use,
        name: str,
        methods: Mapping[tuple[str, str], Method],
        named: Named,
        wanted: Wanted,
        plan: Plan,
        found: Taken,
    ) -> None:
        out, model = self.out, use.model
        doc = f"{use.name}: {model.name}, {use.file}".replace("\\", "/").replace('"', "'")
        out.raw()
        out.raw(f"class {name}(SubModel):")
        out.raw(f'"""{doc}: the factors that are used."""', 4)
        out.raw()
        out.raw(f'NAME = "{use.name}"', 4)
        if model.axes:
            emit_facts(out, model, plan)
        out.raw()
        out.raw("def __init__(self) -> None:", 4)
        out.raw("super().__init__()", 8)
        for sub in named.uses.values():
            out.statement(f"self.{sub.attribute} = {sub.made}", 8)
        kept = tuple(s for s in model.statements if s in wanted or (s[0] == "net" and s[1] in _nets(model, wanted)))
        emit_modules(out, replace(model, statements=kept), methods, named)
        for (kind, owner), method in methods.items():
            text = f"let {owner}"
            if kind != "let":
                factor = model.factor("p" if kind == "p" else "q", owner)
                text = f"{factor.text}: {', '.join(parameter_names(factor))}"
            emit_method(out, method, named, text, 0)
        if model.axes:
            emit_copies(out, use, plan, named, methods, found)
        out.at = 0
        out.raw()


def _soft(use: ir.Use, calls: Iterable[Called], plan: Plan) -> frozenset[str]:
    """The nodes that a relaxed value is given for somewhere: there all their values come as weights."""
    found = set()
    for call in calls:
        for name, value in call.args:
            kind = use.model.node(name).type
            if isinstance(value, ir.Ref) and relaxed(plan, value.name) and (kind.one_hot or kind.support == "binary"):
                found.add(name)
    return frozenset(found)


def _nets(model: ir.Model, wanted: Wanted) -> set[str]:
    """The nets that some let or factor reaches, through other nets too."""
    parts = {n.name: n.parts for n in model.nets}

    def inside(found: Iterable[ir.Part]) -> Iterator[str]:
        for part in found:
            if isinstance(part, ir.NetUse):
                yield part.net
                yield from inside(parts[part.net])

    return {net for owner in wanted for network in networks_of(model, owner) for net in inside(network.parts)}
