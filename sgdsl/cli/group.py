"""The table of commands; a command's file is imported when it is called, and its mistakes become exit codes."""

from __future__ import annotations

from importlib import import_module

import click

from sgdsl import __version__
from sgdsl.base.diagnostics import DiagnosticError
from sgdsl.cli.codes import code_of
from sgdsl.cli.talk import Talk

FILES = {
    "check": "check",
    "show": "show",
    "graph": "graph",
    "compile": "compile",
    "explain": "explain",
    "verify": "verify",
    "run": "train",
    "eval": "evaluate",
    "sample": "sample",
    "predict": "predict",
    "edit": "edit",
    "traverse": "traverse",
    "impute": "impute",
    "compare": "compare",
    "data": "data",
    "report": "report",
}


class Commands(click.Group):
    """Looks commands up in FILES."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(FILES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in FILES:
            return None
        command: click.Command = import_module(f"sgdsl.cli.{FILES[cmd_name]}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(error.command_name, possibilities=FILES, ctx=ctx) from None

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except DiagnosticError as error:
            ctx.ensure_object(Talk).failed(error.diagnostics)
            return code_of(error)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def sgdsl(context: click.Context) -> None:
    """Equations of a deep generative model in, a trained PyTorch model out.

    \b
    sgdsl check model.sgm          is it right?
    sgdsl run model.sgm            train it, and see what it learned
    sgdsl explain model.sgm        what is drawn, enumerated, weighed
    sgdsl verify model.sgm         is its objective right? against exact values
    sgdsl predict RUN new.npz      what does it say about new rows?
    sgdsl data show FILE           what do my rows hold?

    Exit codes: 0 done, 1 the model is wrong or its check failed, 2 wrong use, 3 data, 4 training failed, 70 a fault of ours,
    130 interrupted.
    """
    context.ensure_object(Talk)
