"""The run as one watches it, on standard error: steps and records of epochs come in, a bar or one line an epoch goes out."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from sgdsl.train.measures import shown

WIDE = 110
REFRESH = 0.3  # seconds: drawing more often costs the training a share of its core
Record = dict[str, Any]


class Watch(Protocol):
    """Someone who follows a run; entered before the first step."""

    def __enter__(self) -> Watch: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def tick(self, step: int, rows: int) -> None:
        """After a step; `rows` read so far in this session."""
        ...

    def epoch(self, record: Record) -> None: ...

    def note(self, text: str) -> None: ...


class Silent:
    """-q."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def tick(self, step: int, rows: int) -> None:
        return None

    def epoch(self, record: Record) -> None:
        return None

    def note(self, text: str) -> None:
        return None


class Lines(Silent):
    """One line an epoch, for files and pipes."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def epoch(self, record: Record) -> None:
        rate = f"{record['rows_per_second']:,.0f} rows/s"
        print(f"epoch {record['epoch']}/{self.epochs}  {described(record)}  {rate}", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        print(f"note: {text}", file=sys.stderr, flush=True)


class Bar(Silent):
    """A bar in place, for terminals; redrawn at most every 0.3 s, by the training's own thread."""

    def __init__(self, epochs: int, steps: int, done: int, console: Console) -> None:
        self.epochs, self.steps, self.begun = epochs, steps, done
        self.text = "first epoch"
        self.rows, self.started, self.drawn = 0, time.monotonic(), 0.0
        self.console = console
        whole, cut = Column(no_wrap=True), Column(no_wrap=True, overflow="ellipsis", ratio=1)
        self.progress = Progress(
            TextColumn("{task.description}", table_column=whole), BarColumn(24 if console.width > WIDE else 6),
            TextColumn("{task.fields[text]}", table_column=cut), Pace(table_column=Column(no_wrap=True)),
            console=console, auto_refresh=False, transient=True, expand=True,
        )  # fmt: skip
        self.task = self.progress.add_task("", total=steps, completed=done, text=self.text, left=None, rate=0.0)

    def __enter__(self) -> Bar:
        self.started = time.monotonic()
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def tick(self, step: int, rows: int) -> None:
        now = time.monotonic()
        if now - self.drawn < REFRESH:
            return
        self.drawn = now
        passed = max(now - self.started, 1e-9)
        left = passed / max(step - self.begun, 1) * (self.steps - step)
        epoch = min(self.epochs, step * self.epochs // self.steps + 1)
        self.progress.update(
            self.task,
            completed=step,
            description=f"epoch {epoch}/{self.epochs}",
            text=self.text,
            left=left,
            rate=rows / passed,
        )
        self.progress.refresh()

    def epoch(self, record: Record) -> None:
        self.text = described(record, short=True)

    def note(self, text: str) -> None:
        self.console.print(Text(f"note: {text}", style="dim"))


class Pace(ProgressColumn):
    """Rows a second and the time that is left."""

    def render(self, task: Task) -> Text:
        left = task.fields.get("left")
        if left is None:
            return Text("")
        rate = task.fields["rate"]
        shown = f"{rate / 1000:,.0f}k" if rate >= 10_000 else f"{rate:,.0f}"
        return Text(f"{shown} rows/s  {clock(left)} left", style="dim")


def watch(epochs: int, steps: int, done: int, quiet: bool) -> Watch:
    """Nothing where quiet, a bar on a terminal, else lines."""
    if quiet:
        return Silent()
    console = Console(stderr=True, highlight=False)
    return Bar(epochs, steps, done, console) if console.is_terminal and not console.is_dumb_terminal else Lines(epochs)


def described(record: Record, short: bool = False) -> str:
    """An epoch in one line: bounds, label errors, effective sample size. `short`: for a bar of 80 columns."""
    places = 1 if short else 2
    bounds = [
        f"{record['bound'][name]:.{places}f}"
        for name in ("unlabelled", "labelled")
        if record["bound"].get(name) is not None
    ]
    parts = [f"bound {bounds[0]}" + (f" (labelled {bounds[1]})" if bounds[1:] and not short else "")] if bounds else []
    for node, score in record["error"].items():
        parts.append(f"{node} {score['kind']} {shown(score['kind'], score['value'], 1)}")
    sizes = [size for pattern, size in record["ess"].items() if pattern != "none"]
    parts += [f"ess {min(sizes):.{places}f}"] if sizes else []
    if record.get("validation_bound") is not None and not short:
        parts.append(f"held-out bound {record['validation_bound']:.2f}")
    return "  ".join(parts)


def clock(seconds: float) -> str:
    """1:02:03 or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def say(text: str, quiet: bool) -> None:
    """What is being done now, when it takes more than a moment."""
    if not quiet:
        print(text, file=sys.stderr, flush=True)
