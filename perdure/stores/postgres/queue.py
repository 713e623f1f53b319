"""Queue documents under an epoch and count a manifest, in a transaction that locked the run."""

from perdure.manifest import Added, ManifestTotals
from perdure.stores.postgres.connection import Connection
from perdure.stores.postgres.statements import count_rows, load_statements

ANALYZE_FROM_ROWS = 1000
"""The planner's statistics are refreshed after this many rows, or more, are queued at once."""

CANCEL_PENDING = "UPDATE documents SET status = 'cancelled' WHERE workflow_id = $1 AND status = 'pending'"
"""Marks every document cancelled that has no result."""

_SQL = load_statements("queue.sql")


async def enqueue_unfinished(
    conn: Connection, workflow_id: str, epoch: int, *, quarantined: bool, unfinished: bool
) -> ManifestTotals:
    """Queue every unfinished document under this epoch, and return the counts of the manifest.

    Args:
        conn: a connection inside the transaction that has locked the run.
        workflow_id: the run.
        epoch: the run's latest epoch.
        quarantined: whether to queue quarantined documents too.
        unfinished: whether to queue pending and cancelled documents.
    """
    # The planner has no statistics of rows that were just recorded, and would join them row by row: measured more than
    # a minute for the second run of 10,000 documents, and 0.3 s with this setting.
    await conn.execute("SET LOCAL enable_nestloop = off")
    outcome = await conn.execute(
        *_SQL["enqueue_unfinished"].bind(
            workflow_id=workflow_id, epoch=epoch, quarantined=quarantined, unfinished=unfinished
        )
    )
    if count_rows(outcome) >= ANALYZE_FROM_ROWS:
        # Without fresh statistics, the planner does not use the index of the queue: measured 20 ms for each document
        # without them, and 2 ms with them.
        await conn.execute("ANALYZE documents")
    return await _count_whole_manifest(conn, workflow_id, epoch)


async def enqueue_added(conn: Connection, workflow_id: str, epoch: int) -> Added:
    """Queue the documents that were added since this epoch began, and return the new counts."""
    run = {"workflow_id": workflow_id, "epoch": epoch}
    await conn.execute(*_SQL["enqueue_added"].bind(**run))
    row = await conn.fetchrow(*_SQL["read_queue_counts"].bind(**run))
    if row:
        return Added(**dict(row))
    totals = await _count_whole_manifest(conn, workflow_id, epoch)
    return Added(totals.total, totals.queued, totals.queued_bytes)


async def count_documents(
    conn: Connection, workflow_id: str, *, limit_seconds: float | None = None
) -> ManifestTotals | None:
    """Count the documents of a run by status; return None for a run without documents.

    Args:
        conn: a connection, perhaps inside a transaction.
        workflow_id: the run.
        limit_seconds: how long the statement may take; None for the connection's own limit.
    """
    statement = _SQL["count_documents"].bind(workflow_id=workflow_id)
    row = await conn.fetchrow(*statement, timeout=limit_seconds)
    return ManifestTotals(**dict(row)) if row else None


async def _count_whole_manifest(conn: Connection, workflow_id: str, epoch: int) -> ManifestTotals:
    """Count the whole manifest and store the counts, to which later additions are added."""
    totals = await count_documents(conn, workflow_id) or ManifestTotals()
    await conn.execute(
        "UPDATE run_epochs SET total = $3, queued_bytes = $4 WHERE workflow_id = $1 AND epoch = $2",
        workflow_id,
        epoch,
        totals.total,
        totals.queued_bytes,
    )
    return totals
