"""Values in the form in which a network reads them: a parent inside a method comes in, a feature goes out."""

from __future__ import annotations

from sgdsl.backend.features import Feature, Input, flat_value


def input_form(known: Input, steps: bool) -> Feature:
    """docs/language.md, lines of a file. `steps`: the first event dimension stays, each step flattened on its own."""
    rank, kind, name = len(known.type.event) - steps, known.type, known.name
    width = kind.input_width // (kind.event[0] if steps else 1)
    if known.present:
        return _partial(known, steps, width)
    if known.relaxed and kind.one_hot:
        return Feature(name if rank == 0 else f"{name}.flatten({-rank - 1})", width, 0, known.up, (), True)
    if kind.one_hot:
        index = f"{name} - {kind.first}" if kind.first else name
        if rank == 0 and not steps:
            return Feature(index, width, width, known.up)
        hot = f"one_hot({index}, {kind.values})"
        return Feature(f"{hot}.flatten({-rank - 1})" if rank else hot, width, 0, known.up, (), True)
    if kind.support == "count":
        return Feature(flat_value(f"torch.log1p({name})", rank), width, 0, known.up)
    if kind.support == "angle":
        return Feature(f"circle({name}, {rank})", width, 0, known.up)
    return Feature(flat_value(name, rank), width, 0, known.up) if rank != 3 or steps else _map(known, name, kind.event)


def class_form(known: Input, steps: bool) -> Feature:
    """What an embedding takes of a class: its index from 0, or weights, and how many dimensions of cells it flattens."""
    kind, rank = known.type, len(known.type.event) - steps
    index = f"{known.name} - {kind.first}" if kind.first and not known.relaxed else known.name
    return Feature(f"{index}, {rank}", kind.input_width, 0, known.up)


def _map(known: Input, text: str, shape: tuple[int, ...]) -> Feature:
    return Feature(text, known.type.input_width, 0, known.up, shape)


def _partial(known: Input, steps: bool, width: int) -> Feature:
    """Its input form with zeros where cells are missing, and the mask behind, of each step its own."""
    kind, rank, mask = known.type, len(known.type.event) - steps, known.present
    if rank == 3 and not (steps or kind.one_hot or kind.support == "angle"):
        c, *sides = kind.event
        return _map(known, f"with_mask({known.name}, {mask}, -3)", (2 * c, *sides))
    index = f"{known.name} - {kind.first}" if kind.first else known.name
    match kind.support:
        case "class" | "range":
            hot = f"zeroed({mask}, one_hot({index}, {kind.values}))"
            text = f"{hot}.flatten({-rank - 1})" if rank or not steps else hot
        case "count":
            text = flat_value(f"torch.log1p({known.name})", rank)
        case "angle":
            return Feature(f"circle_with_mask({known.name}, {mask}, {rank})", width, 0, known.up)
        case _:
            text = flat_value(known.name, rank)
    return Feature(f"with_mask({text}, {flat_value(mask, rank)}, -1)", width, 0, known.up)
