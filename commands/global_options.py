"""The options `--quiet` and `--verbose` of every command, and `--version` of the program."""

from typing import Annotated, Any

import typer
from typer.main import get_command

from perdure import __version__


def _print_version(value: bool) -> None:  # noqa: FBT001 - typer calls it
    if value:
        typer.echo(f"perdure {__version__}")
        raise typer.Exit


def _be_quiet(value: bool) -> None:  # noqa: FBT001 - typer calls it
    if value:
        from commands.output import be_quiet  # noqa: PLC0415 - loads what `--help` does not need

        be_quiet()


def _be_verbose(value: bool) -> None:  # noqa: FBT001 - typer calls it
    if value:
        from commands.output import be_verbose  # noqa: PLC0415 - loads what `--help` does not need

        be_verbose()


Version = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, expose_value=False, help="Print the version and leave."
    ),
]
_Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        callback=_be_quiet,
        expose_value=False,
        help="Print only answers and refusals: no other messages, and no progress.",
    ),
]
_Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", callback=_be_verbose, expose_value=False, help="Print log records to stderr."),
]

_holder = typer.Typer(add_completion=False)


@_holder.command()
def _options(*, quiet: _Quiet = False, verbose: _Verbose = False) -> None:
    """Define the options that `add_global_options` copies."""


def add_global_options(command: Any) -> Any:
    """Add `--quiet` and `--verbose` to a command, and return the command."""
    command.params.extend(get_command(_holder).params)
    return command
