"""`sgdsl data`: commands about rows; each has a file of its own, imported when it is called."""

from __future__ import annotations

from importlib import import_module

import click

FILES = {"show": "data_show", "make": "data_make"}


class Commands(click.Group):
    """Looks commands up in FILES."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(FILES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in FILES:
            return None
        found: click.Command = import_module(f"sgdsl.cli.{FILES[cmd_name]}").command
        return found


@click.group("data", cls=Commands)
def command() -> None:
    """Look at the rows that a model is trained on, or make some."""
