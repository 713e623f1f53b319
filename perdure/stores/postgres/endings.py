"""Record the end of a run that could not do it itself, in one transaction that nobody else's writes can slip into."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from perdure.checkpoint import WorkflowCheckpoint, upgrade
from perdure.manifest import ManifestTotals
from perdure.stores.postgres.checkpoints import LATEST, append_checkpoint
from perdure.stores.postgres.connection import Connection, PostgresPool
from perdure.stores.postgres.manifest_sql import TOTALS

# Whoever still holds a lease of the run is a zombie: it finds its lease gone.
_TAKE_LEASES = """
UPDATE documents SET dispatch = dispatch + 1, attempt = 0
WHERE workflow_id = $1 AND status = 'pending' AND dispatch > 0
"""
_FINISHED = """
SELECT min(ordinal) AS first, max(ordinal) + 1 AS past
FROM (SELECT ordinal, ordinal - row_number() OVER (ORDER BY ordinal) AS island
      FROM documents WHERE workflow_id = $1 AND epoch = $2 AND status IN ('processed', 'quarantined')) AS finished
GROUP BY island ORDER BY first
"""


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A Temporal run that has ended: who it was, and how it is to be recorded."""

    workflow_id: str
    first_run_id: str
    run_ids: Collection[str]
    """All that belong to it: its own, those that it continued, those that it was reset from."""
    started_at: datetime
    status: str
    """`failed` or `cancelled`."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an ended run stands, for good."""

    epoch: int
    totals: ManifestTotals
    finished: list[tuple[int, int]]
    """Ranges of the ordinals of this epoch, sorted, never touching."""
    latest: WorkflowCheckpoint | None


async def record_ending(
    pool: PostgresPool,
    run: EndedRun,
    make: Callable[[Standing], WorkflowCheckpoint | None],
    still_ended: Callable[[], Awaitable[bool]],
) -> WorkflowCheckpoint | None:
    """Fence the run, append the checkpoint that says how it ended, and set its status.

    Args:
        pool: of the database.
        run: what Temporal says.
        make: gives the checkpoint for where the run stands; None if there is nothing to record.
        still_ended: asked last, while every other run of this id has to wait.

    Returns:
        What was appended, None if another run has replaced it or there was nothing to record.

    Raises:
        DependencyUnavailable: the database cannot be used now.
        RefusedWrite: the chain does not take it.
    """
    try:
        async with pool.transaction() as conn:
            return await _record(conn, run, make, still_ended)
    except _NothingToRecordError:
        return None


class _NothingToRecordError(Exception):
    """Takes back the fence as well."""


async def _record(
    conn: Connection,
    run: EndedRun,
    make: Callable[[Standing], WorkflowCheckpoint | None],
    still_ended: Callable[[], Awaitable[bool]],
) -> WorkflowCheckpoint:
    epoch = await _epoch_of(conn, run)
    await conn.execute(_TAKE_LEASES, run.workflow_id)
    if run.status == "cancelled":
        await conn.execute(
            "UPDATE documents SET status = 'cancelled' WHERE workflow_id = $1 AND status = 'pending'", run.workflow_id
        )
    row = await conn.fetchrow(LATEST, run.workflow_id)
    totals: Any = await conn.fetchrow(TOTALS, run.workflow_id)
    finished = await conn.fetch(_FINISHED, run.workflow_id, epoch)
    checkpoint = make(
        Standing(
            epoch,
            ManifestTotals(**dict(totals)) if totals else ManifestTotals(),
            [(one["first"], one["past"]) for one in finished],
            upgrade(dict(row)) if row else None,
        )
    )
    if checkpoint is None or not await still_ended():
        raise _NothingToRecordError
    await conn.execute(
        "UPDATE runs SET status = $2, updated_at = now() WHERE workflow_id = $1", run.workflow_id, run.status
    )
    await append_checkpoint(conn, checkpoint)
    return checkpoint


async def _epoch_of(conn: Connection, run: EndedRun) -> int:
    """The run's epoch, with its row locked; one that never claimed any is given one now."""
    await conn.execute("INSERT INTO runs (workflow_id, epoch) VALUES ($1, 1) ON CONFLICT DO NOTHING", run.workflow_id)
    latest = await conn.fetchval("SELECT epoch FROM runs WHERE workflow_id = $1 FOR UPDATE", run.workflow_id)
    claims = await conn.fetch(
        "SELECT first_run_id, epoch, claimed_at FROM run_epochs WHERE workflow_id = $1", run.workflow_id
    )
    # A run that had to claim again did so under its own id and a number.
    mine = [claim["epoch"] for claim in claims if claim["first_run_id"].partition("/")[0] in run.run_ids]
    if latest in mine:
        return int(latest)
    if mine or any(claim["claimed_at"] > run.started_at for claim in claims):
        raise _NothingToRecordError  # another run has replaced it
    stored = await conn.fetchval(
        "SELECT coalesce(max(epoch), 0) FROM workflow_checkpoints WHERE workflow_id = $1", run.workflow_id
    )
    epoch = max(int(latest) + bool(claims), int(stored) + 1)
    await conn.execute("INSERT INTO run_epochs VALUES ($1, $2, $3)", run.workflow_id, run.first_run_id, epoch)
    await conn.execute("UPDATE runs SET epoch = $2 WHERE workflow_id = $1", run.workflow_id, epoch)
    return epoch
