"""Names of the file as Python identifiers: a model comes in, unique and legal names of values, modules and methods go out."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sgdsl.middle import ir
from sgdsl.middle.stacks import factor_copies, let_copies
from sgdsl.middle.written import word as word

# What emitted code itself calls things: torch.nn.Module's attributes and the words of a step.
MODULE_WORDS = frozenset(
    """T_destination add_module alpha apply bfloat16 buffers call_super_init children compile cpu cuda double draw_p draw_q
    dump_patches eval extra_repr float forward freeze frozen get_buffer get_extra_state get_parameter get_submodule half ipu
    load_state_dict log_p log_q modules mtia named_buffers named_children named_modules named_parameters parameters
    parameters_p parameters_q register_backward_hook register_buffer register_forward_hook register_forward_pre_hook
    register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook
    register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook
    register_state_dict_pre_hook requires_grad_ samples set_extra_state set_submodule share_memory state_dict to
    to_empty train
    training type xpu zero_grad running_mean
    NAME NODES LEVELS ORDER_P ORDER_Q GROUPS RANGES VIEWS OVERS READINGS PIECES CARRIED VARYING""".split()  # noqa: SIM905
)
STEP_WORDS = frozenset(
    """self torch math nn F Tensor batch draws samples rows alpha bound terms objective score gain f log_w log_v
    drawn_log_w weights parts recombined late_gain late_score mean_score sample_weight gate still net h v values known""".split()  # noqa: SIM905
)


DERIVED = {
    "known": "known_{}", "label": "label_{}", "log_p": "log_p_{}", "log_q": "log_q_{}", "up": "up_{}",
    "soft": "{}_soft", "baseline": "baseline_{}", "present": "present_{}",
}  # fmt: skip


@dataclass(slots=True)
class Names:
    """Hands out identifiers; the same wish twice gets a second name."""

    taken: set[str] = field(default_factory=set)
    above: Names | None = None

    def new(self, wish: str) -> str:
        """The wish itself, or with underscores behind it while it is taken or no legal name."""
        name = wish
        while self.holds(name) or keyword.iskeyword(name) or keyword.issoftkeyword(name) or hasattr(builtins, name):
            name += "_"
        self.taken.add(name)
        return name

    def holds(self, name: str) -> bool:
        """Whether a name is taken, here or above."""
        return name in self.taken or (self.above is not None and self.above.holds(name))

    def inner(self) -> Names:
        """Names beside which these are taken, and whose own are taken for nobody else."""
        return Names(above=self)


@dataclass(frozen=True, slots=True)
class Named:
    """`values`: the variable of each node and let; `modules`: the attribute of each net and let that owns weights;
    `uses`: the models that it uses by their names;
    `derived`: the step's own variables of a node or let by kind, "log_q" and the like, which no other name may be."""

    values: dict[str, str]
    derived: dict[tuple[str, str], str]
    modules: dict[str, str]
    locals: Names
    uses: Mapping[str, SubModel] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SubMethod:
    """What a call of another model's method needs, as in methods.Method."""

    name: str
    reads: tuple[str, ...]
    partial: tuple[str, ...]
    free: tuple[bool, ...]
    constants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SubModel:
    """A model that the emitted one uses: where its module is, how it is made, its methods by ("p", v), ("q", v), ("let", h);
    `soft`: nodes whose values come as vectors of weights."""

    attribute: str
    made: str
    use: ir.Use
    methods: Mapping[tuple[str, str], SubMethod]
    soft: frozenset[str]


def name_all(model: ir.Model, functions: Iterable[str]) -> Named:
    """Identifiers for a whole model; `functions`: names that emitted code imports."""
    pieces = [model.node(name) for name in dict.fromkeys(f.id for f in (*model.p, *model.q) if f.piece)]
    named: list[ir.Node | ir.Let] = [*model.values, *pieces]
    owners: list[ir.Net | ir.Let | ir.Use] = [*model.uses, *model.nets, *model.lets]
    local = Names(set(STEP_WORDS) | set(functions))
    derived = {(kind, n.name): local.new(wish.format(word(n.name))) for n in named for kind, wish in DERIVED.items()}
    stacks = {r.name for f in (*model.p, *model.q) for r in factor_copies(f)}
    stacks |= {r.name for h in model.lets for r in let_copies(h)}
    derived |= {("copy", name): local.new(f"copy_{name}") for name in sorted(stacks)}
    values = {n.name: local.new(word(n.name)) for n in named}
    factors = {f"{f.side}_{f.id}" for f in (*model.p, *model.q)} | {f"q_{f.id}_baseline" for f in model.q}
    methods = {f"{m}_{word(n.name)}" for m in ("encode", "decode", "let", "baseline") for n in named}
    modules = Names(set(MODULE_WORDS) | factors | methods)
    return Named(values, derived, {n.name: modules.new(word(n.name)) for n in owners}, local)
