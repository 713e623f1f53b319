"""Begin a run with what another one had at one of its checkpoints: documents, texts and all, copied."""

from dataclasses import dataclass
from typing import Any

from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import RefusedCommand
from perdure.stores.postgres.connection import Connection, PostgresPool

_COPIED_EPOCH = 1
"""What is copied counts as done in an epoch of its own, before the first that the fork claims."""
_WHOLE_RUN_SECONDS = 3600.0

_RESULT = """media_type, sha256, quality_score, title, properties, characters, chunk_count, mention_count, warnings,
             reason, error_type, committed_at, authors, created, modified, language"""

# A row's (epoch, ordinal) says when it was finished: in an epoch before the checkpoint's, or in the checkpoint's own at
# a place that it covers. A later epoch means that it has been processed again since, and what it was then is gone.
_COPY_DOCUMENTS = f"""
INSERT INTO documents (workflow_id, position, uri, name, source, size_bytes, version, read_version, status, epoch,
                       ordinal, attempts, {_RESULT})
SELECT $2, position, uri, name, source, size_bytes, version, read_version, status, {_COPIED_EPOCH},
       row_number() OVER (ORDER BY position) - 1, attempts, {_RESULT}
FROM documents
WHERE workflow_id = $1 AND position < $3 AND status IN ('processed', 'quarantined')
  AND (epoch < $4 OR (epoch = $4 AND EXISTS (
        SELECT FROM unnest($5::bigint[], $6::bigint[]) AS done (first, past)
        WHERE ordinal >= done.first AND ordinal < done.past)))
"""  # noqa: S608 - constants only
# Positions of documents that were removed by then are not counted, but they are taken.
_END = """
SELECT coalesce(max(position) + 1, 0) FROM (
    SELECT position FROM documents
    WHERE workflow_id = $1 AND (removed_epoch IS NULL OR removed_epoch > $3) ORDER BY position LIMIT $2
) AS counted
"""
_COPY_REST = """
INSERT INTO documents (workflow_id, position, uri, name, source, size_bytes, version, epoch, ordinal)
SELECT $2, position, uri, name, source, size_bytes, version, 0, position
FROM documents o
WHERE workflow_id = $1 AND position < $3 AND status <> 'removed'
  AND NOT EXISTS (SELECT FROM documents c WHERE c.workflow_id = $2 AND c.position = o.position)
"""
_OUTPUTS = {
    "document_texts": "text, page_offsets",
    "document_sections": "start_offset, ordinal, level, heading",
    "document_tables": "ordinal, start_offset, end_offset, page, cells, cut",
    "chunks": "ordinal, start_offset, end_offset, embedding, terms",
    "mentions": "ordinal, start_offset, end_offset, kind, surface, normalised, confidence",
}
_COPY_OUTPUT = """
INSERT INTO {table} (workflow_id, position, {columns})
SELECT $2, position, {columns} FROM {table} o
WHERE workflow_id = $1
  AND EXISTS (SELECT FROM documents c WHERE c.workflow_id = $2 AND c.position = o.position AND c.status = 'processed')
"""


@dataclass(frozen=True, slots=True)
class Copied:
    """What a fork began with: documents with their results, and documents still to be processed."""

    processed: int
    quarantined: int
    pending: int


async def copy_run(pool: PostgresPool, checkpoint: WorkflowCheckpoint, target: str) -> Copied:
    """Copy into `target` what the checkpoint's run had at that moment, in one transaction; again gives the same.

    Raises:
        RefusedCommand: the database does not have the run's documents, or `target` is something else already.
        DependencyUnavailable: the database cannot be reached.
    """
    origin, data = checkpoint.workflow_id, checkpoint.state_data
    async with pool.transaction() as conn:
        await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 7234703))", target)
        if not await _begun(conn, checkpoint, target):
            if not await conn.fetchval("SELECT EXISTS (SELECT FROM documents WHERE workflow_id = $1)", origin):
                raise RefusedCommand(f"The database has no documents of '{origin}', so there is nothing to go on from.")
            # The planner knows nothing of rows that this transaction writes, and would pair them one by one.
            await conn.execute("SET LOCAL enable_nestloop = off")
            await conn.execute(
                """INSERT INTO runs (workflow_id, epoch, forked_from_workflow, forked_from_checkpoint)
                   VALUES ($1, $2, $3, $4)""",
                *(target, _COPIED_EPOCH, origin, checkpoint.checkpoint_id),
            )
            await conn.execute(
                "INSERT INTO run_epochs VALUES ($1, $2, $3)", target, f"fork of {checkpoint.checkpoint_id}", 1
            )
            ranges = [(0, data.watermark), *data.beyond_watermark]
            total = await conn.fetchval(_END, origin, data.documents_total, checkpoint.epoch)
            await _run(
                conn,
                _COPY_DOCUMENTS,
                *(origin, target, total, checkpoint.epoch),
                *([first for first, _ in ranges], [past for _, past in ranges]),
            )
            await _run(conn, _COPY_REST, origin, target, total)
            for table, columns in _OUTPUTS.items():
                await _run(conn, _COPY_OUTPUT.format(table=table, columns=columns), origin, target)
        row = await conn.fetchrow(
            """SELECT count(*) FILTER (WHERE status = 'processed') AS processed,
                      count(*) FILTER (WHERE status = 'quarantined') AS quarantined,
                      count(*) FILTER (WHERE status = 'pending') AS pending
               FROM documents WHERE workflow_id = $1""",
            target,
        )
    return Copied(**dict(row)) if row else Copied(0, 0, 0)


async def _begun(conn: Connection, checkpoint: WorkflowCheckpoint, target: str) -> bool:
    """Whether this very fork was copied before; a fork that was interrupted then goes on."""
    row = await conn.fetchrow(
        "SELECT forked_from_workflow, forked_from_checkpoint FROM runs WHERE workflow_id = $1", target
    )
    if row is None:
        return False
    if tuple(row) != (checkpoint.workflow_id, checkpoint.checkpoint_id):
        raise RefusedCommand(f"There is a run '{target}' already, and it is not a fork of this checkpoint.")
    return True


async def _run(conn: Connection, statement: str, *arguments: Any) -> None:
    await conn.execute(statement, *arguments, timeout=_WHOLE_RUN_SECONDS)
