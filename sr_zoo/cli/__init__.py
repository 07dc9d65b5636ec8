"""The command line: argument parsing only, one module per command."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from sr_zoo import __version__
from sr_zoo.errors import SRZooError

# command to its module, imported only to run it, and to what `sr-zoo --help` says of it
COMMANDS = {
    "bench": ("bench", "Time networks and runtimes side by side."),
    "calibrate": ("calibrate", "Measure which patches need which width of a slimmable network."),
    "effort": ("effort", "Paint where a dynamic network spends its effort."),
    "eval": ("eval", "Measure networks as papers do."),
    "export": ("export", "Write a network as ONNX, OpenVINO or torch.export file."),
    "info": ("info", "Say what is known of a model."),
    "list": ("models", "List the models of the library."),
    "publish": ("publish", "Upload weight files to the Hub."),
    "rate": ("rate", "Have people rate results blindly, or average their ratings."),
    "train": ("train", "Train or fine-tune a network on folders of images."),
    "upscale": ("upscale", "Upscale images and folders of images."),
    "weights": ("weights", "List, fetch, verify, import and export weight files."),
    "zero-shot": ("zero_shot", "Enlarge an image by learning from it alone."),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `sr-zoo`. Errors and warnings are one line on standard error; an error exits with 1.

    Args:
        arguments: What follows the program's name; None for those of this process.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    warnings.showwarning = _say
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a sign that it lacks is no reason to fail
    try:
        _app()(list(arguments), prog_name="sr-zoo")
    except SRZooError as error:
        typer.echo(f"sr-zoo: {error}", err=True)
        raise SystemExit(1) from None


def _say(message: Warning | str, *_where: object, **_more: object) -> None:
    """Show a warning as one line; whoever types a command need not know the line of code."""
    typer.echo(f"sr-zoo: {message}", err=True)


class _Commands(TyperGroup):
    """Imports a command when it is called, or when a shell completes what follows its name."""

    def resolve_command(  # type: ignore[override] # typer's own context class
        self, ctx: typer.Context, args: list[str]
    ) -> tuple[str | None, Any, list[str]]:
        if args[0] in COMMANDS:
            self.commands[args[0]] = _imported(args[0])
        return super().resolve_command(ctx, args)


def _imported(name: str) -> Any:
    module_name, summary = COMMANDS[name]
    module = import_module(f"sr_zoo.cli.{module_name}")
    app = typer.Typer(add_completion=False)
    if hasattr(module, "app"):
        app.add_typer(module.app, name=name, help=summary)
        return get_group(app).commands[name]
    kind = getattr(module, "Command", None)  # where Click's own does not do
    app.command(name, cls=kind)(module.command)  # its own words say more than the summary
    return get_command(app)


def _app() -> typer.Typer:
    app = typer.Typer(
        cls=_Commands,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        name="sr-zoo",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_program)
    for name, (_, summary) in COMMANDS.items():
        app.command(name, help=summary)(_not_called)
    return app


def _not_called() -> None:
    """Stand in for the commands that this call does not run, so that the help lists them."""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sr_zoo {__version__}")
        raise typer.Exit


def _program(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Super-resolution networks, verified against their authors' own."""
