"""Run a command line; refuse one that cannot be parsed, with one sentence and code 2."""

import logging
import os
import sys
from typing import NoReturn

import typer
from typer.main import get_command

from commands.global_options import add_global_options
from commands.streams import open_standard_streams
from orchestration.invocation import program_name
from perdure.errors import PerdureError

REFUSED = 2
INTERRUPTED = 130
OUTPUT_GONE = 141


def run_app(app: typer.Typer) -> NoReturn:
    """Run the command that the command line names and leave with its exit code.

    A command with valid arguments leaves the process itself, through `orchestration.process_exit`.
    """
    open_standard_streams()
    # The client logs each retry of a call. The commands print one sentence when the retries are used up.
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)
    code = 0
    try:
        answer = add_global_options(get_command(app)).main(prog_name=program_name(), standalone_mode=False)
        code = answer if isinstance(answer, int) else 0
        sys.stdout.flush()
    except typer.TyperException as error:
        sys.stderr.write(f"{_sentence(error)} See: {program_name()} {_command(error)}--help\n")
        code = REFUSED
    except PerdureError as error:
        sys.stderr.write(f"{error}\n")
        code = REFUSED
        _drop_output()
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except SystemExit as error:
        code = _code_of_exit(error)
    except BrokenPipeError:
        _drop_output()
        code = OUTPUT_GONE
    sys.exit(code)


def _code_of_exit(error: SystemExit) -> int:
    """Return the exit code; 0 for an eager option such as `--install-completion`.

    rich exits with code 1 when the reader of the output has closed its end.
    """
    if error.code:
        _drop_output()
        return OUTPUT_GONE
    return 0


def _drop_output() -> None:
    """Point stdout at /dev/null, so that Python does not fail to flush it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _sentence(error: typer.TyperException) -> str:
    text = " ".join(error.format_message().split())
    if "--workflow-id" in text and text.startswith("Missing option"):
        text = "Name the run with --workflow-id; the command `list` shows all runs"
    return text if text.endswith((".", "?")) else f"{text}."


def _command(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.info_name} " if context is not None and context.parent is not None else ""
