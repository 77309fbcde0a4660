"""Products and mixtures as text: experts come in, one call that makes their parameters goes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sgdsl.backend.code import Code
from sgdsl.backend.features import strip
from sgdsl.backend.parameters import is_free, is_number, module_of, parameters
from sgdsl.catalog.families import FamilyRow
from sgdsl.middle import ir


@dataclass(frozen=True, slots=True)
class Member:
    """An expert inside its factor's method: `names` of its parameters, `free`: which depend on no input; `told`: the rows
    in which it counts, "" for all."""

    names: tuple[str, ...]
    free: tuple[bool, ...]
    told: str = ""

    def __str__(self) -> str:
        return f"({', '.join((self.told or 'None', *self.names))})"


def combined(
    code: Code, source: ir.Product | ir.Mixture, family: FamilyRow, prior: Member | None
) -> tuple[list[str], tuple[bool, ...]]:
    """The text that returns every parameter, and which of them are free."""
    members = [_member(code, i, expert, family) for i, expert in enumerate(source.experts, 1)]
    members += [prior] if prior else []
    free = [all(flags) for flags in zip(*(m.free for m in members), strict=True)]
    told = any(m.told for m in members)
    event = len(source.experts[0].parameters[0].shape)
    text = ", ".join((*map(str, members), f"event={event}"))
    if isinstance(source, ir.Mixture):
        return [f"mixture_of({text})"], (not told, *free)
    return [f"product_of_normals({text})"], (all(free) and not told, free[1] and not told)


def _member(code: Code, number: int, expert: ir.Expert, family: FamilyRow) -> Member:
    """Its parameters in variables, and its modules as the part `expert<number>`."""
    part = f"expert{number}"
    inner = Code(
        code.inputs,
        code.nets,
        f"{code.owner}.{part}",
        code.fused,
        body=code.body,
        counts=code.counts,
        copies=code.copies,
        uses=code.uses,
    )
    texts = parameters(inner, expert.trunk, family, expert.parameters)
    if inner.modules:
        code.modules[part] = module_of(inner.modules)
    names = []
    for parameter, text in zip(expert.parameters, texts, strict=True):
        if not is_number(parameter.source):
            code.body.append(f"{(name := code.fresh(parameter.name))} = {strip(text)}")
            text = name
        names.append(text)
    return Member(tuple(names), tuple(is_free(p.source) for p in expert.parameters), _told(code, expert.partial))


def _told(code: Code, partial: Sequence[str]) -> str:
    """Where some cell of what it reads is there."""
    if not partial:
        return ""
    inputs = [code.inputs[name] for name in partial]
    text = f"told({', '.join(i.present for i in inputs)})"
    return f"lift({text}, {inputs[0].up})" if inputs[0].up else text
