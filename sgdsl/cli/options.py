"""Arguments and options that several commands share."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sgdsl.cli.talk import Talk

Command = Callable[..., Any]

pass_talk = click.make_pass_decorator(Talk, ensure=True)
model = click.argument("model", type=click.Path(path_type=Path))
run_folder = click.argument("run", type=click.Path(path_type=Path))
_set = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="SECTION.NAME=VALUE",
    help="Replace a setting of the file: --set train.lr=1e-3. May be given again.",
)
_level = click.option(
    "-O", "level", type=click.IntRange(0, 2), help="Rewrites of the step: 0 none, 2 closed forms too."
)
seed = click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Start of all random numbers; else train.seed.")
data = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="A .npz, .npy, .csv, .parquet or .mat file, or a folder of idx files, faces or pictures, instead of the file's data.",
)
bind = click.option("--bind", multiple=True, metavar="NODE=FIELD", help="The field that a node reads: --bind x=image.")


def pair(text: str) -> tuple[str, Any]:
    """`y=3`, `z=[0.1, -1]`, `state=broken`: a list, or a word, which the run reads (train.naming). Raises UsageError."""
    name, equals, value = text.partition("=")
    found: object = value
    if value[:1] in ("[", '"'):
        try:
            found = json.loads(value)
        except ValueError:
            found = None
    if not equals or not name.isidentifier() or not found:
        known = "a value is a number, a list of numbers or the name of a class: y=3, z=[0.5, -1], y=cat"
        raise click.UsageError(f"`{text}` is no NODE=VALUE; {known}")
    return name, found


def _pairs(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[tuple[str, Any], ...]:
    return tuple(pair(text) for text in texts)


values = click.option(
    "--set",
    "values",
    multiple=True,
    metavar="NODE=VALUE",
    callback=_pairs,
    help="Hold a node: --set y=3, z=[0.5,-1], y=cat.",
)


def _flag(field: str, value_help: str, *names: str) -> Callable[[Command], Command]:
    def keep(context: click.Context, _: click.Parameter, value: bool) -> None:
        setattr(context.ensure_object(Talk), field, value)

    return click.option(*names, is_flag=True, expose_value=False, callback=keep, help=value_help)


as_json = _flag("json", "Print the result as JSON, errors included.", "--json")
_quiet = _flag("quiet", "Say less: results and errors only.", "-q", "--quiet")
_verbose = _flag("verbose", "Say more: a fault of ours with its traceback.", "-v", "--verbose")


def bound(pairs: tuple[str, ...]) -> tuple[str, ...]:
    """NODE=FIELD as settings of `data`. Raises UsageError."""
    for pair in pairs:
        node, equals, field = pair.partition("=")
        if not equals or not node.isidentifier() or not field or '"' in field:
            raise click.UsageError(f"`{pair}` is no NODE=FIELD, such as x=image")
    return tuple('data.{}="{}"'.format(*pair.split("=", 1)) for pair in pairs)


def binding(command: Command) -> Command:
    """--bind, as settings among the overrides."""

    @functools.wraps(command)
    def together(*args: Any, overrides: tuple[str, ...], bind: tuple[str, ...], **options: Any) -> Any:
        return command(*args, overrides=(*overrides, *bound(bind)), **options)

    return bind(together)


def overrides(command: Command) -> Command:
    """--set, and -O as one of them."""

    @functools.wraps(command)
    def together(*args: Any, overrides: tuple[str, ...], level: int | None, **options: Any) -> Any:
        more = () if level is None else (f"objective.optimise={level}",)
        return command(*args, overrides=(*overrides, *more), **options)

    return _set(_level(together))


def talking(command: Command) -> Command:
    """-q and -v."""
    return _quiet(_verbose(command))


def names(texts: tuple[str, ...]) -> tuple[str, ...]:
    """`--node a,b --node c` as a, b, c."""
    return tuple(name.strip() for text in texts for name in text.split(",") if name.strip())


def ending(path: Path, *endings: str) -> Path:
    """A file's name with one of the endings. Raises UsageError."""
    if path.suffix not in endings:
        raise click.UsageError(f"cannot write {path}: its name ends in none of {', '.join(endings)}")
    return path


def writing(path: Path, write: Callable[[], object]) -> None:
    """Writes a result, its folder first. Raises UsageError where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write()
    except OSError as error:
        raise click.UsageError(f"cannot write {path}: {error.strerror}") from None
