"""The text of a step under gradient = dreg: what reads a draw is read again through its gate, in log p with its weights, in
log q without.

docs/objective.md, section 5. A value has up to three variables: `z`, as drawn, which later draws and log w read; `z_v`, as
log v reads it; and of a let or Delta of draws `h_r`, as the densities of q in log v read it, with weights that stand still.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sgdsl.backend.calls import parameter_names
from sgdsl.backend.infer import draw
from sgdsl.backend.methods import Method
from sgdsl.backend.step import Step
from sgdsl.backend.valued import INDENT
from sgdsl.middle import ir
from sgdsl.middle.elimination import Key


@dataclass(slots=True)
class Doubly:
    """Emits the nodes of q, and changes how the step reads values afterwards. `gated`, `still`: variables by name."""

    step: Step
    gated: dict[str, str] = field(default_factory=dict)
    still: dict[str, str] = field(default_factory=dict)
    moving: dict[str, bool] = field(default_factory=dict)

    def start(self) -> None:
        """The gate, and where something of q reads a draw, q with fixed weights."""
        again = any(self._moves(r) for f in self.step.model.q for r in self.step.methods["q", f.node].reads)
        self.step.out.raw("# v reads draws behind their gates, and r, in it, weights that stand still: dreg", INDENT)
        self.step.say("gate, still = Gate(), fixed(self)" if again else "gate = Gate()")

    def infer(self, factor: ir.Factor) -> None:
        """A node of q: its parameters, its draw, the draw behind its gate, the density of the draw at fixed weights; of a
        supervised node also log q, which weighs labels."""
        step, name = self.step, factor.node
        step.heading(factor)
        value, parameters = step.named.values[name], step.parameters(factor, ())
        if not step.plan.choices[name].drawn:
            step.say(f"{value} = {parameters[0]}")
            return
        draw(step, factor, step.model.node(name), parameters, ())
        self.gated[name] = step.named.locals.new(f"{value}_v")
        step.say(f"{self.gated[name]} = gate({value})")
        log_q = step.named.derived["log_q", name]
        step.factors[Key("q", name)] = log_q
        log_r = log_q
        if step.model.node(name).role == "supervised":
            step.say(f"{log_q} = {step.density(factor, parameters, ())}")
            log_r = step.named.locals.new(f"log_r_{name}")
        parameters = self._still_parameters(factor, parameters)
        step.view = self.in_log_q
        step.say(f"{log_r} = {step.density(factor, parameters, ())}")
        step.view = None
        if log_r != log_q:
            unknown = step.named.locals.new(f"unknown_{name}")
            step.say(f"{unknown} = unknown({step.known(name, ())}, {log_r})")
            step.factors[Key("draw", name)] = unknown

    def _still_parameters(self, factor: ir.Factor, parameters: list[str]) -> list[str]:
        """The parameters of a density in log v: those of the draw, stopped, where no draw is read."""
        step, method = self.step, self.step.methods["q", factor.node]
        if not method.name:
            return parameters
        names = [step.named.locals.new(f"r_{factor.node}_{n}") for n in parameter_names(factor)]
        if any(map(self._moves, method.reads)):
            step.view = self.in_log_q
            step.say(step.call(method, ", ".join(names), owner="still"))
            step.view = None
        else:
            left = ", ".join(names) if len(names) > 1 else f"({names[0]},)"
            step.say(f"{left} = stopped({', '.join(parameters)})")
        return names

    # --- views ------------------------------------------------------------------------------------------------

    def in_log_p(self, name: str) -> str:
        """A value as log p reads it: draws through their gates, lets and Deltas of them with their weights."""
        if not self._moves(name):
            return self._as_drawn(name)
        return self._seen(name, self.gated, "v", "self")

    def in_log_q(self, name: str) -> str:
        """A value as a density of q in log v reads it: draws through their gates, weights stand still."""
        if not self._moves(name):
            text, method = self._as_drawn(name), self._method(name)
            return f"{text}.detach()" if method and method.name else text
        return self.gated[name] if self._method(name) is None else self._seen(name, self.still, "r", "still")

    def _as_drawn(self, name: str) -> str:
        step = self.step
        view, step.view = step.view, None
        step.let(name)
        text = step.value(name)
        step.view = view
        return text

    def _seen(self, name: str, made: dict[str, str], mark: str, owner: str) -> str:
        """The variable of a value under the step's view, evaluated when first read."""
        if name not in made:
            method = self._method(name)
            assert method is not None, f"{name} is read before it is drawn"
            variable = self.step.named.locals.new(f"{self.step.named.values[name]}_{mark}")
            self.step.say(self.step.call(method, variable, owner=owner))
            made[name] = variable
        return made[name]

    # --- what reads draws -------------------------------------------------------------------------------------

    def _method(self, name: str) -> Method | None:
        """The method that makes a let or a Delta node."""
        if ("let", name) in self.step.methods:
            return self.step.methods["let", name]
        choice = self.step.plan.choices.get(name)
        return self.step.methods["q", name] if choice and not choice.drawn else None

    def _moves(self, name: str) -> bool:
        """Whether a value depends on a draw."""
        if name not in self.moving:
            method = self._method(name)
            self.moving[name] = any(map(self._moves, method.reads)) if method else name in self.step.plan.choices
        return self.moving[name]
