"""The program `perdure` (in a checkout also `starter.py`) and the table of its commands.

Each command's module is loaded when the command is called: Temporal's client alone takes a second to load.
"""

import importlib
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from commands.global_options import Version, add_global_options
from commands.usage import run_app
from orchestration.invocation import is_script

COMMANDS = {
    "run": ("processing", "Process files and folders: start the servers, follow the run, print a summary."),
    "resume": ("resumption", "Bring a run to its end from its latest checkpoint."),
    "demo": ("demo", "Kill a worker while it reads a document, and prove that no result is lost or made twice."),
    "samples": ("samples", "Write the sample documents to a folder."),
    "up": ("servers", "Run the embedded servers in the foreground."),
    "down": ("servers", "Stop the embedded servers and the workers of this data folder."),
    "worker": ("worker", "Run one worker until SIGTERM or Ctrl-C."),
    "kill-worker": ("kill_worker", "Send SIGKILL to a worker of this data folder, to watch the recovery."),
    "start": ("processing", "Start a run and leave it to the workers."),
    "watch": ("reading", "Follow a run to its end."),
    "status": ("reading", "Show the state of a run."),
    "list": ("reading", "List all runs."),
    "checkpoints": ("reading", "List a run's checkpoints, oldest first."),
    "failures": ("reading", "List a run's quarantined documents and the reasons."),
    "search": ("search", "Find passages in the documents of a run, by words and by meaning."),
    "entities": ("entities", "List the people, places and organisations in a run's documents, most central first."),
    "entity": ("entities", "Show one entity: its spellings, its relations, and each place that mentions it."),
    "export": ("export", "Write a run's graph (GraphML, JSON) or tables (Parquet, CSV) to files."),
    "report": ("report", "Write one HTML page about a run."),
    "fork": ("time_travel", "Start a new run from any checkpoint of another run."),
    "diff": ("time_travel", "Compare what two runs produced."),
    "prune": ("retention", "Delete old checkpoints, never a run's latest."),
    "verify": ("audit", "Compare a run's history, mirror, files and outputs, and print each difference."),
    "rebuild-mirror": ("audit", "Restore a run's checkpoints in Postgres and in the files from its history."),
    "pause": ("steering", "Stop handing out documents; documents in process finish."),
    "unpause": ("steering", "Continue a paused run."),
    "concurrency": ("steering", "Change how many batches of a run are in flight."),
    "add": ("steering", "Add files and folders to an open run."),
    "close": ("steering", "Let an open run take no more documents; it ends when all of them are done."),
    "cancel": ("steering", "End a run early, with a last checkpoint."),
    "retry-failed": ("processing", "Process a run's quarantined documents again, and no others."),
}
"""Name of a command to the module of this package that holds it, and its line in `--help`."""


class LazyCommands(TyperGroup):
    """Lists the names of all commands, and loads the module of the command that is called."""

    def __init__(self, **attributes: Any) -> None:
        attributes["commands"] = {name: TyperCommand(name, help=line) for name, (_, line) in COMMANDS.items()}
        super().__init__(**attributes)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Load the command that the first argument names, and return the result of the base class."""
        if args[0] in COMMANDS:
            module = importlib.import_module(f"commands.{COMMANDS[args[0]][0]}")
            self.commands[args[0]] = add_global_options(get_group(module.app).commands[args[0]])
        return super().resolve_command(ctx, args)


# A shell can complete the options of a program on the PATH. `python starter.py` is no such program.
app = typer.Typer(cls=LazyCommands, add_completion=not is_script(), rich_markup_mode="markdown")


@app.callback()
def _perdure(*, version: Version = False) -> None:
    """Process documents durably: an interrupted run continues at the place of the interruption.

    Sentences and progress go to stderr. With --json, stdout carries one JSON value. Every command takes --quiet and
    --verbose. Exit codes: 0 success; 1 the run ended with another status than completed, or a check found a
    difference; 2 the command was refused; 130 interrupted.
    """


def main() -> None:
    """Run the command that the command line names, and leave with its exit code."""
    run_app(app)
