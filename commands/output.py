"""What the commands print: words and progress to stderr, answers to stdout, and JSON as one value and nothing else."""

import json
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from pydantic import BaseModel
from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.table import Table

from orchestration.client.run_status import RunReport

COMPLETED = "completed"


class _Answers(Console):
    """Stdout; whoever reads it may go away (`| head`)."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


PIPED_WIDTH = 10_000
"""Whoever reads a pipe wants whole lines."""

answers = _Answers(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
words = Console(stderr=True, highlight=False)


def say(sentence: str) -> None:
    """One sentence for people, on stderr, whole however narrow the terminal is."""
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


def say_when(sentence: str) -> None:
    """The same with the time of day before it, UTC."""
    say(f"{datetime.now(UTC):%H:%M:%S} {sentence}")


def print_json(value: object) -> None:
    """One JSON value on stdout."""
    plain = to_jsonable_python(value.model_dump(mode="json") if isinstance(value, BaseModel) else value)
    escape = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    sys.stdout.write(json.dumps(plain, indent=2, ensure_ascii=escape) + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """A table on stdout; `right` names the columns of numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*[str(cell) for cell in row])
    answers.print(table, markup=False)


def command(script: str, *arguments: str) -> str:
    """A command line that can be pasted as it is: the Python that runs us, and one of our scripts."""
    return shlex.join([_from_here(Path(sys.executable)), script, *arguments])


def exit_code(report: RunReport) -> int:
    """0 if the run is completed or still under way, 1 if it ended otherwise."""
    return 0 if report.running or report.workflow_status == COMPLETED else 1


def readable(status: str) -> str:
    """A workflow status for people."""
    return status.replace("_", " ")


def brief_time(time: datetime | None) -> str:
    """For tables: UTC, to the second."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if time else ""


def _from_here(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
