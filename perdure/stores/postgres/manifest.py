"""The manifest in Postgres: epochs, the queue of each epoch, leases, and how each document ended.

Writers of one run meet at its row in `runs`: whoever changes the queue locks it, and reads there whether its epoch is
still the latest. Commits of single documents do not touch that row; the epoch, dispatch and attempt on the document's
own row fence them.
"""

from collections.abc import Sequence
from typing import Any

from perdure.documents.document import PROCESSING_VERSION, DiscoveredDocument, ProcessedDocument
from perdure.errors import AlreadyCommitted, DocumentError, StaleWriter, StoreSetBack
from perdure.manifest import Added, Changes, Failure, Lease, ManifestEntry, ManifestTotals
from perdure.stores.postgres import manifest_sql as sql
from perdure.stores.postgres.connection import SHORT_SECONDS, Connection, PostgresPool
from perdure.stores.postgres.discovered import record_page, uri_key
from perdure.stores.postgres.epochs import check_epoch
from perdure.stores.postgres.faults import unstorable
from perdure.stores.postgres.outputs import seconds_to_write, write_outputs
from perdure.stores.postgres.refresh import forget, refresh

ANALYZE_FROM_ROWS = 1000


class PostgresManifestStore:
    """`perdure.manifest.ManifestStore` over Postgres; its promises are documented there."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def claim(self, workflow_id: str, first_run_id: str, *, at_least: int, replaces: int | None = None) -> int:
        async with self._pool.transaction(limit_seconds=SHORT_SECONDS) as conn:
            await conn.execute(
                "INSERT INTO runs (workflow_id, epoch) VALUES ($1, 1) ON CONFLICT DO NOTHING", workflow_id
            )
            latest = await conn.fetchval("SELECT epoch FROM runs WHERE workflow_id = $1 FOR UPDATE", workflow_id)
            mine = await conn.fetchval(
                "SELECT epoch FROM run_epochs WHERE workflow_id = $1 AND first_run_id = $2", workflow_id, first_run_id
            )
            if mine is not None:
                return int(mine)
            if replaces is not None and int(latest) > replaces:
                raise StaleWriter(f"The run {workflow_id} was taken over by a later one.")
            taken = await conn.fetchval("SELECT EXISTS (SELECT FROM run_epochs WHERE workflow_id = $1)", workflow_id)
            epoch = max(at_least, int(latest) + bool(taken))
            await conn.execute("INSERT INTO run_epochs VALUES ($1, $2, $3)", workflow_id, first_run_id, epoch)
            await conn.execute(
                "UPDATE runs SET epoch = $2, status = 'in_progress', updated_at = now() WHERE workflow_id = $1",
                workflow_id,
                epoch,
            )
            return epoch

    async def record(self, workflow_id: str, epoch: int, documents: Sequence[DiscoveredDocument]) -> None:
        async with self._pool.transaction() as conn:
            await _lock_run(conn, workflow_id, epoch)
            await record_page(conn, workflow_id, epoch, documents)

    async def changed_candidates(
        self, workflow_id: str, epoch: int, after: int, limit: int
    ) -> Sequence[tuple[int, str, str]]:
        async with self._pool.transaction() as conn:
            await _lock_run(conn, workflow_id, epoch)
            rows = await conn.fetch(
                """SELECT position, uri, sha256 FROM documents
                   WHERE workflow_id = $1 AND status = 'processed' AND position > $2
                     AND version IS DISTINCT FROM read_version AND epoch < $4
                   ORDER BY position LIMIT $3""",
                *(workflow_id, after, limit, epoch),
            )
            return [(row["position"], row["uri"], row["sha256"]) for row in rows]

    async def settle_candidate(self, workflow_id: str, epoch: int, position: int, *, changed: bool) -> None:
        async with self._pool.transaction(limit_seconds=SHORT_SECONDS) as conn:
            await _lock_run(conn, workflow_id, epoch)
            if not changed:
                await conn.execute(
                    "UPDATE documents SET read_version = version WHERE workflow_id = $1 AND position = $2",
                    workflow_id,
                    position,
                )
                return
            await forget(conn, workflow_id, [position], "changed")

    async def refresh(self, workflow_id: str, epoch: int, sources: Sequence[str], limit: int) -> int:
        async with self._pool.transaction() as conn:
            await _lock_run(conn, workflow_id, epoch)
            return await refresh(conn, workflow_id, epoch, sources, limit)

    async def changes(self, workflow_id: str) -> Changes | None:
        async with self._pool.connection() as conn:
            row = await conn.fetchrow(
                "SELECT added, changed, outdated, retried, removed, unchanged FROM run_changes WHERE workflow_id = $1",
                workflow_id,
            )
        return Changes(**dict(row)) if row else None

    async def enqueue_unfinished(
        self, workflow_id: str, epoch: int, *, quarantined: bool, unfinished: bool = True
    ) -> ManifestTotals:
        async with self._pool.transaction() as conn:
            await _lock_run(conn, workflow_id, epoch)
            # The planner knows nothing yet of rows just recorded, and would pair them one by one: measured more than a
            # minute for the second run of 10,000 documents, not 0.3 s.
            await conn.execute("SET LOCAL enable_nestloop = off")
            taken = await conn.execute(sql.TAKE_UP, workflow_id, epoch, quarantined, unfinished)
            if int(taken.split()[-1]) >= ANALYZE_FROM_ROWS:
                # Until its statistics are fresh the planner misses the queue's index: 20 ms a document, not 2.
                await conn.execute("ANALYZE documents")
            return await _counted(conn, workflow_id, epoch)

    async def take_up_added(self, workflow_id: str, epoch: int) -> Added:
        async with self._pool.transaction() as conn:
            await _lock_run(conn, workflow_id, epoch)
            await conn.execute(sql.TAKE_UP_ADDED, workflow_id, epoch)
            row = await conn.fetchrow(sql.COUNTED, workflow_id, epoch)
            if row:
                return Added(**dict(row))
            totals = await _counted(conn, workflow_id, epoch)
            return Added(totals.total, totals.queued, totals.queued_bytes)

    async def lease_batch(self, workflow_id: str, lease: Lease, first: int, end: int) -> Sequence[ManifestEntry]:
        async with self._pool.connection() as conn:
            rows = await conn.fetch(sql.LEASE, workflow_id, lease.epoch, lease.dispatch, lease.attempt, first, end)
        if len(rows) < end - first:
            raise await self._missing(workflow_id, lease.epoch, f"Documents {first} to {end - 1}")
        if any(row["status"] == "pending" and not row["leased"] for row in rows):
            raise StaleWriter(f"Documents {first} to {end - 1} of {workflow_id} were taken over by a later attempt.")
        # A row has the entry's fields, and one more.
        return [ManifestEntry(**{key: value for key, value in row.items() if key != "leased"}) for row in rows]

    async def commit(
        self,
        workflow_id: str,
        lease: Lease,
        position: int,
        document: ProcessedDocument,
        *,
        attempts: int,
        read_version: str | None = None,
    ) -> None:
        try:
            async with self._pool.transaction(limit_seconds=seconds_to_write(document)) as conn:
                outcome = await conn.execute(
                    sql.COMMIT,
                    *(workflow_id, position, lease.epoch, lease.dispatch, lease.attempt, attempts),
                    *(document.media_type, document.sha256, document.quality_score, document.title),
                    *(document.properties, len(document.text), len(document.chunks), len(document.mentions)),
                    *(list(document.warnings), list(document.authors)),
                    *(document.created, document.modified, document.language, PROCESSING_VERSION),
                    read_version,
                )
                await _raise_if_lost(conn, outcome, workflow_id, position)
                await write_outputs(conn, workflow_id, position, document)
        except Exception as error:
            if fault := unstorable(error):
                raise fault from error
            raise

    async def quarantine(
        self, workflow_id: str, lease: Lease, position: int, fault: DocumentError, *, attempts: int
    ) -> None:
        async with self._pool.transaction(limit_seconds=SHORT_SECONDS) as conn:
            outcome = await conn.execute(
                sql.QUARANTINE,
                *(workflow_id, position, lease.epoch, lease.dispatch, lease.attempt, attempts),
                *(str(fault), type(fault).__name__),
            )
            await _raise_if_lost(conn, outcome, workflow_id, position)

    async def keep_parts(self, workflow_id: str, lease: Lease, position: int, parts: bytes) -> None:
        async with self._pool.transaction(limit_seconds=SHORT_SECONDS) as conn:
            mine = (workflow_id, position, lease.epoch, lease.dispatch, lease.attempt)
            outcome = await conn.execute(sql.KEEP_PARTS, *mine, parts)
            await _raise_if_lost(conn, outcome.replace("INSERT 0", "UPDATE"), workflow_id, position)

    async def parts(self, workflow_id: str, position: int) -> bytes:
        async with self._pool.connection() as conn:
            return await conn.fetchval(sql.PARTS, workflow_id, position) or b""

    async def close_run(
        self, workflow_id: str, epoch: int, status: str, *, expected_finished: int | None = None
    ) -> ManifestTotals:
        async with self._pool.transaction(limit_seconds=SHORT_SECONDS) as conn:
            await _lock_run(conn, workflow_id, epoch)
            before = await _totals(conn, workflow_id) or ManifestTotals()
            if expected_finished is not None and (before.pending or before.total < expected_finished):
                raise StoreSetBack(
                    f"All {expected_finished} documents of {workflow_id} had a result, and only "
                    f"{before.processed + before.quarantined} have one now."
                )
            if status == "cancelled":
                await conn.execute(
                    "UPDATE documents SET status = 'cancelled' WHERE workflow_id = $1 AND status = 'pending'",
                    workflow_id,
                )
            await conn.execute(
                "UPDATE runs SET status = $2, updated_at = now() WHERE workflow_id = $1 AND status IS DISTINCT FROM $2",
                *(workflow_id, status),
            )
            return await _totals(conn, workflow_id) or ManifestTotals()

    async def names(self, workflow_id: str, epoch: int, first: int, end: int) -> Sequence[str]:
        async with self._pool.connection() as conn:
            rows = await conn.fetch(
                """SELECT name FROM documents
                   WHERE workflow_id = $1 AND epoch = $2 AND ordinal >= $3 AND ordinal < $4 ORDER BY ordinal""",
                *(workflow_id, epoch, first, end),
            )
        if len(rows) < end - first:
            raise await self._missing(workflow_id, epoch, "The queue")
        return [row["name"] for row in rows]

    async def ordinals_of(self, workflow_id: str, epoch: int, uris: Sequence[str]) -> tuple[int, int]:
        async with self._pool.transaction() as conn:
            await conn.execute("SET LOCAL plan_cache_mode = force_custom_plan")
            row = await conn.fetchrow(
                """SELECT coalesce(min(ordinal), 0) AS first, coalesce(max(ordinal) + 1, 0) AS end
                   FROM documents WHERE workflow_id = $1 AND epoch = $2 AND uri_key(uri) = ANY($3)""",
                *(workflow_id, epoch, [uri_key(uri) for uri in uris]),
            )
        return (row["first"], row["end"]) if row else (0, 0)

    async def _missing(self, workflow_id: str, epoch: int, what: str) -> StaleWriter | StoreSetBack:
        """Why this epoch's queue is not there."""
        async with self._pool.connection() as conn:
            latest = await conn.fetchval("SELECT epoch FROM runs WHERE workflow_id = $1", workflow_id)
        if latest is not None and latest > epoch:
            return StaleWriter(f"{what} of {workflow_id} was taken over by a later run.")
        return StoreSetBack(f"{what} of {workflow_id} is not in the database any more: it was restored or replaced.")

    async def sources(self, workflow_id: str) -> Sequence[str]:
        async with self._pool.connection() as conn:
            rows = await conn.fetch(
                "SELECT source FROM documents WHERE workflow_id = $1 GROUP BY source ORDER BY min(position)",
                workflow_id,
            )
        return [row["source"] for row in rows]

    async def totals(self, workflow_id: str) -> ManifestTotals | None:
        async with self._pool.connection() as conn:
            known = await conn.fetchval("SELECT EXISTS (SELECT FROM runs WHERE workflow_id = $1)", workflow_id)
            return (await _totals(conn, workflow_id) or ManifestTotals()) if known else None

    async def failures(self, workflow_id: str) -> Sequence[Failure]:
        async with self._pool.connection() as conn:
            rows = await conn.fetch(
                "SELECT position, uri, reason, error_type, attempts FROM failures WHERE workflow_id = $1 ORDER BY 1",
                workflow_id,
            )
        return [Failure(**dict(row)) for row in rows]


async def _lock_run(conn: Connection, workflow_id: str, epoch: int) -> None:
    """Lock the run for this transaction, and refuse if another epoch has begun."""
    latest = await conn.fetchval("SELECT epoch FROM runs WHERE workflow_id = $1 FOR UPDATE", workflow_id)
    check_epoch(workflow_id, latest, epoch)


async def _raise_if_lost(conn: Connection, outcome: str, workflow_id: str, position: int) -> None:
    """Tell apart, when the guarded update met no row, who was first."""
    if outcome == "UPDATE 1":
        return
    status = await conn.fetchval(
        "SELECT status FROM documents WHERE workflow_id = $1 AND position = $2", workflow_id, position
    )
    if status in ("processed", "quarantined"):
        raise AlreadyCommitted(f"Document {position} of {workflow_id} has its result already.")
    raise StaleWriter(f"Document {position} of {workflow_id} was taken over by a later attempt.")


async def _counted(conn: Connection, workflow_id: str, epoch: int) -> ManifestTotals:
    """Read the whole manifest once; what is added to it from now on is counted as it comes."""
    totals = await _totals(conn, workflow_id) or ManifestTotals()
    await conn.execute(
        "UPDATE run_epochs SET total = $3, queued_bytes = $4 WHERE workflow_id = $1 AND epoch = $2",
        *(workflow_id, epoch, totals.total, totals.queued_bytes),
    )
    return totals


async def _totals(conn: Connection, workflow_id: str) -> ManifestTotals | None:
    row: Any = await conn.fetchrow(sql.TOTALS, workflow_id)
    return ManifestTotals(**dict(row)) if row else None
