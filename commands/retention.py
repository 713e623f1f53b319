"""`prune`: delete old checkpoints by age or count, never a run's latest."""

import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from commands.options import AsJson
from commands.output import print_json, print_table, say
from orchestration.client.retention import Pruned
from orchestration.client.retention import prune as prune_runs
from orchestration.client.run_reader import RunReader
from orchestration.client.workflow_ids import checked_workflow_id
from orchestration.process_exit import run_main
from perdure.errors import RefusedCommand

_AGE = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

MAX_KEEP = 2_147_483_647
"""The largest integer of Postgres, which counts them."""

app = typer.Typer()


@app.command()
def prune(
    *,
    workflow_id: Annotated[str | None, typer.Option("--workflow-id", "-w", metavar="ID", help="Of this run.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Of every run that has checkpoints.")] = False,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="AGE", help="Only those older than that: 30d, 12h, 45m.")
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=1, max=MAX_KEEP, metavar="N", help="Keep the newest N of each run in any case."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete old checkpoints by age or by count, never the latest of a run; what is left stays verifiable.

    With both --older-than and --keep, only what both allow goes. A checkpoint that is gone cannot be forked from.
    """
    run_main(
        lambda: _prune(workflow_id, every=every, older_than=older_than, keep=keep, dry_run=dry_run, as_json=as_json)
    )


async def _prune(
    workflow_id: str | None, *, every: bool, older_than: str | None, keep: int | None, dry_run: bool, as_json: bool
) -> int:
    if (workflow_id is None) != every:
        raise RefusedCommand("Say which run is meant with --workflow-id, or --all for every run.")
    if older_than is None and keep is None:
        raise RefusedCommand("Say what is old: --older-than AGE, --keep N, or both.")
    moment = datetime.now(UTC) - age(older_than) if older_than is not None else None
    if workflow_id is not None:
        checked_workflow_id(workflow_id)
    async with RunReader() as reader:
        if workflow_id is not None:
            await reader.status(workflow_id)  # tells a run without checkpoints from one that nobody has heard of
        runs = [workflow_id] if workflow_id is not None else await reader.stores.checkpoints[0].workflow_ids()
        pruned = await prune_runs(reader.stores, runs, keep=keep or 1, older_than=moment, dry_run=dry_run)
    if as_json:
        print_json({"dry_run": dry_run, "pruned": [asdict(one) for one in pruned]})
    else:
        _print(pruned, dry_run=dry_run)
    return 0


def age(text: str) -> timedelta:
    """A number and its unit, such as 30d.

    Raises:
        RefusedCommand: it is none.
    """
    found = _AGE.fullmatch(text.strip())
    if not found:
        raise RefusedCommand(f"An age is a number and one of s, m, h, d, w, such as 30d, not '{text}'.")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _print(pruned: list[Pruned], *, dry_run: bool) -> None:
    if not pruned:
        say("No checkpoint is old enough to go.")
        return
    total = sum(one.checkpoints for one in pruned)
    print_table(
        ("workflow id", "checkpoints", "up to #", "in files"),
        [(one.workflow_id, one.checkpoints, one.up_to_sequence, one.in_files) for one in pruned],
        right=("checkpoints", "up to #", "in files"),
    )
    say(f"{total} checkpoints of {len(pruned)} run(s) " + ("would be deleted." if dry_run else "were deleted."))
