"""Store manifests in Postgres: epochs, queues, leases, and the result of each document.

A writer that changes the queue of a run locks the run's row in `runs`, and reads there whether its epoch is still the
latest. A commit of one document does not touch the row in `runs`: the epoch, dispatch and attempt in the document's own
row fence the commit. `sql/manifest.sql` holds and describes the longer statements.
"""

from collections.abc import Sequence
from typing import NoReturn

from perdure.documents.document import PROCESSING_VERSION, DiscoveredDocument, ProcessedDocument
from perdure.errors import AlreadyCommitted, DocumentError, StaleWriter
from perdure.manifest import Added, Changes, Failure, Lease, ManifestEntry, ManifestTotals
from perdure.stores.postgres.connection import SHORT_SECONDS, Connection, PostgresPool
from perdure.stores.postgres.discovered import CUSTOM_PLANS, hash_uri, record_page
from perdure.stores.postgres.epochs import check_finished, claim_epoch, explain_missing_queue, lock_run
from perdure.stores.postgres.faults import convert_to_unstorable
from perdure.stores.postgres.outputs import compute_time_limit, write_outputs
from perdure.stores.postgres.queue import CANCEL_PENDING, count_documents, enqueue_added, enqueue_unfinished
from perdure.stores.postgres.refresh import forget_results, refresh_results
from perdure.stores.postgres.statements import count_rows, load_statements

MANIFEST_SQL = load_statements("manifest.sql")


class PostgresManifestStore:
    """Stores manifests in Postgres; `perdure.manifest.ManifestStore` documents each method."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def claim(self, workflow_id: str, first_run_id: str, *, at_least: int, replaces: int | None = None) -> int:
        """Return the epoch of this Temporal run; a later claim of the run returns the same epoch."""
        async with self._pool.transaction(limit_seconds=SHORT_SECONDS) as conn:
            return await claim_epoch(conn, workflow_id, first_run_id, at_least=at_least, replaces=replaces)

    async def record(self, workflow_id: str, epoch: int, documents: Sequence[DiscoveredDocument]) -> None:
        """Add one page of discovered documents to the manifest."""
        async with self._pool.transaction() as conn:
            await lock_run(conn, workflow_id, epoch)
            await record_page(conn, workflow_id, epoch, documents)

    async def changed_candidates(
        self, workflow_id: str, epoch: int, after: int, limit: int
    ) -> Sequence[tuple[int, str, str]]:
        """Return (position, uri, sha256) of processed documents that look changed, one page."""
        async with self._pool.transaction() as conn:
            await lock_run(conn, workflow_id, epoch)
            rows = await conn.fetch(
                *MANIFEST_SQL["list_changed_candidates"].bind(
                    workflow_id=workflow_id, epoch=epoch, after=after, limit=limit
                )
            )
            return [(row["position"], row["uri"], row["sha256"]) for row in rows]

    async def settle_candidate(self, workflow_id: str, epoch: int, position: int, *, changed: bool) -> None:
        """Record whether the content of a candidate changed."""
        async with self._pool.transaction(limit_seconds=SHORT_SECONDS) as conn:
            await lock_run(conn, workflow_id, epoch)
            if changed:
                await forget_results(conn, workflow_id, [position], "changed")
                return
            await conn.execute(
                "UPDATE documents SET read_version = version WHERE workflow_id = $1 AND position = $2",
                workflow_id,
                position,
            )

    async def refresh(self, workflow_id: str, epoch: int, sources: Sequence[str], limit: int) -> int:
        """Update some results to the present sources; return their number."""
        async with self._pool.transaction() as conn:
            await lock_run(conn, workflow_id, epoch)
            return await refresh_results(conn, workflow_id, epoch, sources, limit)

    async def changes(self, workflow_id: str) -> Changes | None:
        """Return the counts of the latest start of the run; None for a run without documents."""
        async with self._pool.connection() as conn:
            row = await conn.fetchrow(
                "SELECT added, changed, outdated, retried, removed, unchanged FROM run_changes WHERE workflow_id = $1",
                workflow_id,
            )
        return Changes(**dict(row)) if row else None

    async def enqueue_unfinished(
        self, workflow_id: str, epoch: int, *, quarantined: bool, unfinished: bool = True
    ) -> ManifestTotals:
        """Queue every unfinished document under this epoch; a second call queues nothing more."""
        async with self._pool.transaction() as conn:
            await lock_run(conn, workflow_id, epoch)
            return await enqueue_unfinished(conn, workflow_id, epoch, quarantined=quarantined, unfinished=unfinished)

    async def enqueue_added(self, workflow_id: str, epoch: int) -> Added:
        """Queue the documents that were added since this epoch began; a second call adds nothing."""
        async with self._pool.transaction() as conn:
            await lock_run(conn, workflow_id, epoch)
            return await enqueue_added(conn, workflow_id, epoch)

    async def lease_batch(self, workflow_id: str, lease: Lease, first: int, end: int) -> Sequence[ManifestEntry]:
        """Lease the unfinished documents of the ordinals [first, end); return the whole range."""
        async with self._pool.connection() as conn:
            rows = await conn.fetch(
                *MANIFEST_SQL["lease_batch"].bind(
                    workflow_id=workflow_id,
                    epoch=lease.epoch,
                    dispatch=lease.dispatch,
                    attempt=lease.attempt,
                    first=first,
                    end=end,
                )
            )
        if len(rows) < end - first:
            await self._raise_missing(workflow_id, lease.epoch, f"Documents {first} to {end - 1}")
        if any(row["status"] == "pending" and not row["leased"] for row in rows):
            raise StaleWriter(f"Documents {first} to {end - 1} of {workflow_id} were taken over by a later attempt.")
        # A row has the fields of an entry and `leased`.
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
        """Store the outputs of a document and mark it processed, in one transaction."""
        try:
            async with self._pool.transaction(limit_seconds=compute_time_limit(document)) as conn:
                outcome = await conn.execute(
                    *MANIFEST_SQL["commit_document"].bind(
                        **_fence(workflow_id, lease, position),
                        attempts=attempts,
                        media_type=document.media_type,
                        sha256=document.sha256,
                        quality_score=document.quality_score,
                        title=document.title,
                        properties=document.properties,
                        characters=len(document.text),
                        chunk_count=len(document.chunks),
                        mention_count=len(document.mentions),
                        warnings=list(document.warnings),
                        authors=list(document.authors),
                        created=document.created,
                        modified=document.modified,
                        language=document.language,
                        processed_by=PROCESSING_VERSION,
                        read_version=read_version,
                    )
                )
                await _raise_if_lost(conn, outcome, workflow_id, position)
                await _delete_parts(conn, workflow_id, position)
                await write_outputs(conn, workflow_id, position, document)
        except Exception as error:
            if fault := convert_to_unstorable(error):
                raise fault from error
            raise

    async def quarantine(
        self, workflow_id: str, lease: Lease, position: int, fault: DocumentError, *, attempts: int
    ) -> None:
        """Mark a document quarantined with its reason."""
        async with self._pool.transaction(limit_seconds=SHORT_SECONDS) as conn:
            outcome = await conn.execute(
                *MANIFEST_SQL["quarantine_document"].bind(
                    **_fence(workflow_id, lease, position),
                    attempts=attempts,
                    reason=str(fault),
                    error_type=type(fault).__name__,
                )
            )
            await _raise_if_lost(conn, outcome, workflow_id, position)
            await _delete_parts(conn, workflow_id, position)

    async def keep_parts(self, workflow_id: str, lease: Lease, position: int, parts: bytes) -> None:
        """Store finished parts of a document, after its earlier parts."""
        async with self._pool.transaction(limit_seconds=SHORT_SECONDS) as conn:
            outcome = await conn.execute(
                *MANIFEST_SQL["keep_parts"].bind(**_fence(workflow_id, lease, position), parts=parts)
            )
            await _raise_if_lost(conn, outcome, workflow_id, position)

    async def parts(self, workflow_id: str, position: int) -> bytes:
        """Return the finished parts of a document, in the order in which they were stored."""
        async with self._pool.connection() as conn:
            parts = await conn.fetchval(*MANIFEST_SQL["read_parts"].bind(workflow_id=workflow_id, position=position))
        return parts or b""

    async def close_run(
        self, workflow_id: str, epoch: int, status: str, *, expected_finished: int | None = None
    ) -> ManifestTotals:
        """Record the final status of the run, and return its counts."""
        async with self._pool.transaction(limit_seconds=SHORT_SECONDS) as conn:
            await lock_run(conn, workflow_id, epoch)
            if expected_finished is not None:
                totals = await count_documents(conn, workflow_id) or ManifestTotals()
                check_finished(workflow_id, totals, expected_finished)
            if status == "cancelled":
                await conn.execute(CANCEL_PENDING, workflow_id)
            await conn.execute(
                "UPDATE runs SET status = $2, updated_at = now() WHERE workflow_id = $1 AND status IS DISTINCT FROM $2",
                workflow_id,
                status,
            )
            return await count_documents(conn, workflow_id) or ManifestTotals()

    async def names(self, workflow_id: str, epoch: int, first: int, end: int) -> Sequence[str]:
        """Return the names of the documents of the ordinals [first, end), in order."""
        async with self._pool.connection() as conn:
            rows = await conn.fetch(
                *MANIFEST_SQL["list_names"].bind(workflow_id=workflow_id, epoch=epoch, first=first, end=end)
            )
        if len(rows) < end - first:
            await self._raise_missing(workflow_id, epoch, "The queue")
        return [row["name"] for row in rows]

    async def ordinals_of(self, workflow_id: str, epoch: int, uris: Sequence[str]) -> tuple[int, int]:
        """Return the smallest range [first, end) of ordinals with these documents; (0, 0) if none."""
        uri_keys = [hash_uri(uri) for uri in uris]
        async with self._pool.transaction() as conn:
            await conn.execute(CUSTOM_PLANS)
            row = await conn.fetchrow(
                *MANIFEST_SQL["find_ordinals"].bind(workflow_id=workflow_id, epoch=epoch, uri_keys=uri_keys)
            )
        return (row["first"], row["end"]) if row else (0, 0)

    async def sources(self, workflow_id: str) -> Sequence[str]:
        """Return the sources of the manifest's documents, in order of first appearance."""
        async with self._pool.connection() as conn:
            rows = await conn.fetch(
                "SELECT source FROM documents WHERE workflow_id = $1 GROUP BY source ORDER BY min(position)",
                workflow_id,
            )
        return [row["source"] for row in rows]

    async def totals(self, workflow_id: str) -> ManifestTotals | None:
        """Return the current counts; None for an unknown workflow id."""
        async with self._pool.connection() as conn:
            is_known = await conn.fetchval("SELECT EXISTS (SELECT FROM runs WHERE workflow_id = $1)", workflow_id)
            return (await count_documents(conn, workflow_id) or ManifestTotals()) if is_known else None

    async def failures(self, workflow_id: str) -> Sequence[Failure]:
        """Return all quarantined documents, by position."""
        async with self._pool.connection() as conn:
            rows = await conn.fetch(
                "SELECT position, uri, reason, error_type, attempts FROM failures WHERE workflow_id = $1 ORDER BY 1",
                workflow_id,
            )
        return [Failure(**dict(row)) for row in rows]

    async def _raise_missing(self, workflow_id: str, epoch: int, subject: str) -> NoReturn:
        async with self._pool.connection() as conn:
            latest = await conn.fetchval("SELECT epoch FROM runs WHERE workflow_id = $1", workflow_id)
        raise explain_missing_queue(subject, workflow_id, latest, epoch)


def _fence(workflow_id: str, lease: Lease, position: int) -> dict[str, str | int]:
    """Return the parameters of `held_by_this_lease`."""
    return {
        "workflow_id": workflow_id,
        "position": position,
        "epoch": lease.epoch,
        "dispatch": lease.dispatch,
        "attempt": lease.attempt,
    }


async def _raise_if_lost(conn: Connection, outcome: str, workflow_id: str, position: int) -> None:
    """Raise the reason why a fenced statement has written no row; return if it wrote one."""
    if count_rows(outcome):
        return
    status = await conn.fetchval(
        "SELECT status FROM documents WHERE workflow_id = $1 AND position = $2", workflow_id, position
    )
    if status in ("processed", "quarantined"):
        raise AlreadyCommitted(f"Document {position} of {workflow_id} has its result already.")
    raise StaleWriter(f"Document {position} of {workflow_id} was taken over by a later attempt.")


async def _delete_parts(conn: Connection, workflow_id: str, position: int) -> None:
    """Delete the finished parts of a document, in the transaction that stores the result."""
    await conn.execute(*MANIFEST_SQL["delete_parts"].bind(workflow_id=workflow_id, position=position))
