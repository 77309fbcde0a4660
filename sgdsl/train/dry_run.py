"""What a run would be, without running it: a program and data come in; its rows, steps and memory go out, and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table

from sgdsl.driver import Program
from sgdsl.train.assemble import reproducible
from sgdsl.train.memory import Memory, predict, pretended_model
from sgdsl.train.prepare import Prepared, prepare
from sgdsl.train.settings import Settings, settings_of
from sgdsl.train.used import check_used

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Forecast:
    """`numbers`: those that are learned."""

    name: str
    ready: Prepared
    settings: Settings
    numbers: int
    memory: Memory

    @property
    def words(self) -> str:
        made, epochs = self.ready.composition, self.settings.train.epochs
        rows = f"{made.unlabelled:,} unlabelled and {made.labelled:,} labelled rows each"
        return f"{self.name}: {self.numbers:,} numbers to learn in {epochs:,} epochs of {made.steps:,} steps, {rows}"

    def as_dict(self) -> dict[str, Any]:
        """Memory in bytes."""
        made = self.ready.config()
        return {
            "model": self.name,
            "rows": made["rows"],
            "step": made["step"],
            "steps": self.ready.composition.steps * self.settings.train.epochs,
            "numbers": self.numbers,
            "memory": self.memory.as_dict(),
        }


def dry_run(program: Program, data: object = None, test: object = None, seed: int | None = None) -> Forecast:
    """Opens and checks the data as `fit` does, and predicts memory. Trains nothing and writes nothing.
    Raises DataError; RunError: E0662–E0664, E0667, E0670."""
    settings = settings_of(program, seed)
    check_used(program)
    with reproducible(settings):
        fake, model = pretended_model(program, settings)
        ready = prepare(program, model, settings, data, test)
        memory = predict(model, ready, settings.train, fake)
    numbers = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return Forecast(program.model.name, ready, settings, numbers, memory)


def table(forecast: Forecast) -> Table:
    """Memory by part, in MiB."""
    memory = forecast.memory
    found = Table(box=box.SIMPLE_HEAD)
    found.add_column("memory of tensors")
    found.add_column("MiB", justify="right")
    parts = {
        "weights": memory.weights,
        f"optimiser ({forecast.settings.train.optimizer})": memory.optimizer,
        "averaged and best weights": memory.kept,
        "data": memory.rows,
        "gradients": memory.gradients,
        "activations of a step": memory.activations,
    }
    for name, size in parts.items():
        if size:
            found.add_row(name, f"{size / MIB:,.1f}")
    found.add_section()
    found.add_row("training, at most", f"{memory.training / MIB:,.1f}")
    if memory.evaluation:
        found.add_row("evaluation at the end", f"{memory.asked / MIB:,.1f}")
    return found
