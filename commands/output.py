"""Print sentences and progress to stderr, and answers to stdout.

With `--json`, stdout gets one JSON value and nothing else.

rich leaves colours out when the environment variable NO_COLOR is set (https://no-color.org).
"""

import json
import logging
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NoReturn

from pydantic import BaseModel
from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.table import Table

from orchestration.client.run_status import RunReport
from orchestration.settings import data_dir_from
from perdure import __version__

log = logging.getLogger("perdure.commands")

COMPLETED = "completed"
PIPED_WIDTH = 10_000
"""Width of a table in a pipe, in characters: a program that reads the pipe needs whole lines."""


class _Answers(Console):
    """Stdout, which a reader such as `head` may close early."""

    def on_broken_pipe(self) -> NoReturn:
        """Raise BrokenPipeError; rich's own method ends the process."""
        raise BrokenPipeError


answers = _Answers(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
words = Console(stderr=True, highlight=False)


def be_quiet() -> None:
    """Print no sentence and no progress from now on; answers and refusals stay."""
    words.quiet = True


def be_verbose() -> None:
    """Print the log records of Perdure and of Temporal's client to stderr from now on."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    logging.getLogger("perdure").setLevel(logging.DEBUG)
    logging.getLogger("temporalio").setLevel(logging.WARNING)
    python = platform.python_version()
    log.debug("perdure %s on Python %s, data folder %s", __version__, python, data_dir_from())


def say(sentence: str) -> None:
    """Print one sentence to stderr, on one line even in a narrow terminal."""
    if words.quiet:
        return
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


def say_when(sentence: str) -> None:
    """Print one sentence to stderr after the time of day in UTC."""
    say(f"{datetime.now(UTC):%H:%M:%S} {sentence}")


def print_json(value: object) -> None:
    """Print one JSON value to stdout."""
    plain = to_jsonable_python(value.model_dump(mode="json") if isinstance(value, BaseModel) else value)
    escape = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    sys.stdout.write(json.dumps(plain, indent=2, ensure_ascii=escape) + "\n")


def print_line(text: str) -> None:
    """Print one line to stdout unchanged: without rich's markup, and without a line break."""
    answers.print(text, markup=False, soft_wrap=True)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """Print a table to stdout.

    Args:
        columns: the headings.
        rows: each as long as `columns`.
        right: headings of the columns of numbers.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*[str(cell) for cell in row])
    answers.print(table, markup=False)


def exit_code(report: RunReport) -> int:
    """Return 0 if the run is completed or still running, 1 if it ended otherwise."""
    return 0 if report.running or report.workflow_status == COMPLETED else 1


def readable(status: str) -> str:
    """Return a workflow status for users, with spaces instead of underscores."""
    return status.replace("_", " ")


def brief_time(time: datetime | None) -> str:
    """Return a time in UTC to the second, for tables; empty for None."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if time else ""
