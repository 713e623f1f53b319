"""Record the end of a run whose workflow could not record it, in one transaction."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from perdure.checkpoint import WorkflowCheckpoint, upgrade
from perdure.manifest import ManifestTotals
from perdure.stores.postgres.checkpoints import LATEST, append_checkpoint
from perdure.stores.postgres.connection import Connection, PostgresPool
from perdure.stores.postgres.epochs import INSERT_EPOCH
from perdure.stores.postgres.queue import CANCEL_PENDING, count_documents
from perdure.stores.postgres.statements import load_statements

_SQL = load_statements("runs.sql")


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A Temporal run that has ended, and the status to record for it."""

    workflow_id: str
    first_run_id: str
    run_ids: Collection[str]
    """The run ids of this run, of the runs that it continued, and of the runs that it was reset from."""
    started_at: datetime
    status: str
    """`failed` or `cancelled`."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The final state of an ended run."""

    epoch: int
    totals: ManifestTotals
    finished: list[tuple[int, int]]
    """Ranges of the ordinals of this epoch that are finished, sorted, with a gap between each two."""
    latest: WorkflowCheckpoint | None


async def record_ending(
    pool: PostgresPool,
    run: EndedRun,
    make: Callable[[Standing], WorkflowCheckpoint | None],
    still_ended: Callable[[], Awaitable[bool]],
) -> WorkflowCheckpoint | None:
    """Fence the run, append the checkpoint of its end, and set its status.

    Args:
        pool: connections to the database.
        run: the ended run, as Temporal describes it.
        make: returns the checkpoint for the state of the run, None if there is nothing to record.
        still_ended: returns whether the run is still closed. It is called last, while the transaction blocks every
            other run of this workflow id.

    Returns:
        The appended checkpoint; None if another run has replaced this one, or if there was nothing to record.

    Raises:
        DependencyUnavailable: the database cannot be used now.
        RefusedWrite: the checkpoint does not follow the chain.
    """
    try:
        async with pool.transaction() as conn:
            return await _record(conn, run, make, still_ended)
    except _NothingToRecordError:
        return None


class _NothingToRecordError(Exception):
    """Rolls the transaction back, the fence included."""


async def _record(
    conn: Connection,
    run: EndedRun,
    make: Callable[[Standing], WorkflowCheckpoint | None],
    still_ended: Callable[[], Awaitable[bool]],
) -> WorkflowCheckpoint:
    epoch = await _claim_epoch(conn, run)
    await conn.execute(*_SQL["fence_leases"].bind(workflow_id=run.workflow_id))
    if run.status == "cancelled":
        await conn.execute(CANCEL_PENDING, run.workflow_id)
    row = await conn.fetchrow(LATEST, run.workflow_id)
    totals = await count_documents(conn, run.workflow_id) or ManifestTotals()
    finished = await conn.fetch(*_SQL["list_finished_ranges"].bind(workflow_id=run.workflow_id, epoch=epoch))
    checkpoint = make(
        Standing(
            epoch,
            totals,
            [(island["first"], island["past"]) for island in finished],
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


async def _claim_epoch(conn: Connection, run: EndedRun) -> int:
    """Lock the run's row and return the run's epoch; a run without a claim gets a new epoch."""
    await conn.execute("INSERT INTO runs (workflow_id, epoch) VALUES ($1, 1) ON CONFLICT DO NOTHING", run.workflow_id)
    latest = await conn.fetchval("SELECT epoch FROM runs WHERE workflow_id = $1 FOR UPDATE", run.workflow_id)
    claims = await conn.fetch(
        "SELECT first_run_id, epoch, claimed_at FROM run_epochs WHERE workflow_id = $1", run.workflow_id
    )
    # A run that claims again appends "/" and a number to its own id.
    own = [claim["epoch"] for claim in claims if claim["first_run_id"].partition("/")[0] in run.run_ids]
    if latest in own:
        return int(latest)
    if own or any(claim["claimed_at"] > run.started_at for claim in claims):
        raise _NothingToRecordError  # another run has replaced it
    stored = await conn.fetchval(
        "SELECT coalesce(max(epoch), 0) FROM workflow_checkpoints WHERE workflow_id = $1", run.workflow_id
    )
    epoch = max(int(latest) + bool(claims), int(stored) + 1)
    await conn.execute(INSERT_EPOCH, run.workflow_id, run.first_run_id, epoch)
    await conn.execute("UPDATE runs SET epoch = $2 WHERE workflow_id = $1", run.workflow_id, epoch)
    return epoch
