"""A command line that cannot be understood is refused like everything else: one sentence on stderr, exit code 2."""

import logging
import os
import sys
from pathlib import Path
from typing import NoReturn

import typer
from typer.main import get_command

REFUSED, INTERRUPTED, OUTPUT_GONE = 2, 130, 141


def run_app(app: typer.Typer) -> NoReturn:
    """Run a command line program; a command that gets as far as its work leaves through `process_exit` itself."""
    program = f"python {Path(sys.argv[0]).name}"
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)  # its retries are not for people; we say what matters
    code = 0
    try:
        answer = get_command(app).main(prog_name=program, standalone_mode=False)
        code = answer if isinstance(answer, int) else 0
        sys.stdout.flush()
    except typer.TyperException as error:
        sys.stderr.write(f"{_sentence(error)} See: {program} {_command(error)}--help\n")
        code = REFUSED
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except (BrokenPipeError, SystemExit):  # rich makes the one into the other, and is alone in leaving so
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to flush when Python ends
        code = OUTPUT_GONE
    sys.exit(code)


def _sentence(error: typer.TyperException) -> str:
    text = " ".join(error.format_message().split())
    if "--workflow-id" in text and text.startswith("Missing option"):
        text = "Say which run is meant with --workflow-id; the command `list` shows them all"
    return text if text.endswith((".", "?")) else f"{text}."


def _command(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.info_name} " if context is not None and context.parent is not None else ""
