"""`prune`: delete old checkpoints by age or count, never a run's latest."""

import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from commands.options import AsJson
from commands.output import print_json, print_table, say
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.retention import Pruned
from orchestration.client.retention import prune as prune_runs
from orchestration.client.workflow_ids import checked_workflow_id
from orchestration.process_exit import run_main
from perdure.errors import RefusedCommand

_AGE = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

MAX_KEEP = 2_147_483_647
"""The largest value of the type `integer` in Postgres, which counts the checkpoints."""

app = typer.Typer()


@app.command()
def prune(
    *,
    workflow_id: Annotated[
        str | None, typer.Option("--workflow-id", "-w", metavar="ID", help="Prune this run.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Prune every run that has checkpoints.")] = False,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="AGE", help="Delete only checkpoints older than this: 30d, 12h, 45m."),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=1, max=MAX_KEEP, metavar="N", help="Keep the newest N checkpoints of each run."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be deleted, and delete nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete old checkpoints by age or by count, never the latest of a run.

    The rest of the chain stays verifiable. With both --older-than and --keep, the command deletes a checkpoint only if
    both allow it. You cannot fork from a deleted checkpoint.
    """
    run_main(
        lambda: _prune(workflow_id, every=every, older_than=older_than, keep=keep, dry_run=dry_run, as_json=as_json)
    )


async def _prune(
    workflow_id: str | None, *, every: bool, older_than: str | None, keep: int | None, dry_run: bool, as_json: bool
) -> int:
    if (workflow_id is None) != every:
        raise RefusedCommand("No run is named. Give --workflow-id for one run, or --all for every run.")
    if older_than is None and keep is None:
        raise RefusedCommand("No limit is given. Give --older-than AGE, --keep N, or both.")
    moment = datetime.now(UTC) - parse_age(older_than) if older_than is not None else None
    if workflow_id is not None:
        checked_workflow_id(workflow_id)
    async with PipelineOrchestrator(own_worker=False) as reader:
        if workflow_id is not None:
            # An unknown run is refused here; a run without checkpoints is not.
            await reader.status(workflow_id)
        runs = [workflow_id] if workflow_id is not None else await reader.stores.leader.workflow_ids()
        pruned = await prune_runs(reader.stores, runs, keep=keep or 1, older_than=moment, dry_run=dry_run)
    if as_json:
        print_json({"dry_run": dry_run, "pruned": [asdict(run) for run in pruned]})
    else:
        _print(pruned, dry_run=dry_run)
    return 0


def parse_age(text: str) -> timedelta:
    """Return the time that a number and its unit name, such as 30d.

    Raises:
        RefusedCommand: the text has another form.
    """
    parts = _AGE.fullmatch(text.strip())
    if not parts:
        raise RefusedCommand(f"An age is a number with one of the units s, m, h, d, w, such as 30d, not '{text}'.")
    return timedelta(**{_UNITS[parts[2]]: int(parts[1])})


def _print(pruned: list[Pruned], *, dry_run: bool) -> None:
    if not pruned:
        say("No checkpoint is old enough to be deleted.")
        return
    total = sum(run.checkpoints for run in pruned)
    other_stores = sorted({store for run in pruned for store in run.in_stores} - {"files"})
    numbers = ("checkpoints", "up to #", "in files", *(f"in {store}" for store in other_stores))
    rows = [
        (
            run.workflow_id,
            run.checkpoints,
            run.up_to_sequence,
            run.in_files,
            *(run.in_stores.get(store, 0) for store in other_stores),
        )
        for run in pruned
    ]
    print_table(("workflow id", *numbers), rows, right=numbers)
    say(f"{total} checkpoints of {len(pruned)} run(s) " + ("would be deleted." if dry_run else "were deleted."))
