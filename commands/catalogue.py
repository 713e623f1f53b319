"""The commands of `starter.py`, each loaded only when it is called: Temporal's client alone takes a second to load."""

import importlib
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from commands.usage import run_app

COMMANDS = {
    "run": ("processing", "Process files and folders, from starting the servers to the summary."),
    "demo": ("demo", "Kill the worker in the middle of a document, and prove that nothing is lost."),
    "up": ("servers", "Run the embedded servers in the foreground."),
    "down": ("servers", "Stop the embedded servers and the workers of this data folder."),
    "start": ("processing", "Start a run and leave it to the workers."),
    "watch": ("reading", "Follow a run to its end."),
    "status": ("reading", "Show how a run stands."),
    "list": ("reading", "List all runs."),
    "checkpoints": ("reading", "List a run's checkpoints, oldest first."),
    "failures": ("reading", "List a run's quarantined documents and why."),
    "search": ("search", "Find what the documents of a run say about something, and where."),
    "entities": ("entities", "List who and what the documents of a run name, the most central first."),
    "entity": ("entities", "Show an entity: its spellings, what is related to it, and where it is mentioned."),
    "export": ("export", "Write a run's graph (GraphML, JSON) or tables (Parquet, CSV) to files."),
    "report": ("report", "Write one HTML page about a run, to look at or to send."),
    "fork": ("time_travel", "Go on from any checkpoint, as a run of its own."),
    "diff": ("time_travel", "Compare what two runs produced."),
    "prune": ("retention", "Delete old checkpoints, never a run's latest."),
    "verify": ("audit", "Compare a run's history, mirror, files and outputs; say each difference."),
    "rebuild-mirror": ("audit", "Make a run's checkpoints in Postgres and files whole again from history."),
    "pause": ("steering", "Hand out no more documents for now."),
    "unpause": ("steering", "Go on after a pause."),
    "concurrency": ("steering", "Change how many batches a run has in flight."),
    "add": ("steering", "Add files and folders to an open run."),
    "close": ("steering", "Let an open run take no more documents: it ends when it is through."),
    "cancel": ("steering", "Stop a run for good, with a last checkpoint."),
    "retry-failed": ("processing", "Process a run's quarantined documents once more, and only those."),
}
"""Name to the module of this package that holds it, and the line about it in `--help`."""


class LazyCommands(TyperGroup):
    """Knows every command's name, and loads the one that is called."""

    def __init__(self, **attributes: Any) -> None:
        attributes["commands"] = {name: TyperCommand(name, help=line) for name, (_, line) in COMMANDS.items()}
        super().__init__(**attributes)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first argument names, loaded."""
        if args[0] in COMMANDS:
            module = importlib.import_module(f"commands.{COMMANDS[args[0]][0]}")
            self.commands[args[0]] = get_group(module.app).commands[args[0]]
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=LazyCommands, add_completion=False, rich_markup_mode="rich")


@app.callback()
def _perdure() -> None:
    """Durable document processing that never loses its place.

    Progress and words for people go to stderr; with --json, stdout carries one JSON value. Exit codes: 0 done as
    asked, 1 the run ended otherwise than completed, 2 refused, 130 interrupted.
    """


def main() -> None:
    """Run the command that the command line names, and leave with its exit code."""
    run_app(app)
