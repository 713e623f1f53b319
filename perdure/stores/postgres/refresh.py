"""Bring the results of an earlier run up to date with what its sources hold now."""

from collections.abc import Sequence

from perdure.documents.document import PROCESSING_VERSION
from perdure.documents.sources.patterns import split_patterns
from perdure.stores.postgres.connection import Connection

# A source whose patterns were changed is the same source: what they leave out now is gone from it.
_BASE = "regexp_replace({}, '#(include|ignore)=.*$', '')"

# A source in which nothing at all was found is more probably away than empty.
_VANISHED = f"""
SELECT position FROM documents d
WHERE workflow_id = $1 AND {_BASE.format("source")} = ANY($3) AND seen_epoch < $2 AND status <> 'removed'
  AND EXISTS (SELECT FROM documents s WHERE s.workflow_id = $1 AND s.seen_epoch = $2
              AND {_BASE.format("s.source")} = {_BASE.format("d.source")})
ORDER BY position LIMIT $4
"""  # noqa: S608 - put together from constants

_OUTDATED = """
SELECT position FROM documents
WHERE workflow_id = $1 AND epoch < $2 AND seen_epoch = $2 AND status = 'processed' AND processed_by IS DISTINCT FROM $3
ORDER BY position LIMIT $4
"""


async def refresh(conn: Connection, workflow_id: str, epoch: int, sources: Sequence[str], limit: int) -> int:
    """One step of `perdure.manifest.ManifestStore.refresh`, in the transaction that holds the run."""
    bases = [split_patterns(source)[0] for source in sources]
    gone = [row["position"] for row in await conn.fetch(_VANISHED, workflow_id, epoch, bases, limit)]
    if gone:
        await _drop_results(conn, workflow_id, gone)
        await conn.execute(
            """UPDATE documents SET status = 'removed', removed_epoch = $3, reason = NULL, error_type = NULL
               WHERE workflow_id = $1 AND position = ANY($2)""",
            *(workflow_id, gone, epoch),
        )
        return len(gone)
    old = await conn.fetch(_OUTDATED, workflow_id, epoch, PROCESSING_VERSION, limit)
    await forget(conn, workflow_id, [row["position"] for row in old], "outdated")
    return len(old)


async def forget(conn: Connection, workflow_id: str, positions: Sequence[int], cause: str) -> None:
    """Have documents pending again, without their results."""
    await _drop_results(conn, workflow_id, positions)
    # Epoch 0 means "not queued yet", where a row's ordinal is its position.
    await conn.execute(
        """UPDATE documents
           SET status = 'pending', epoch = 0, ordinal = position, cause = $3, committed_at = NULL, media_type = NULL,
               sha256 = NULL, quality_score = NULL, title = NULL, properties = NULL, characters = NULL,
               chunk_count = NULL, mention_count = NULL, warnings = '{}', authors = DEFAULT, created = NULL,
               modified = NULL, language = NULL
           WHERE workflow_id = $1 AND position = ANY($2)""",
        *(workflow_id, positions, cause),
    )


async def _drop_results(conn: Connection, workflow_id: str, positions: Sequence[int]) -> None:
    """Chunks and mentions go with the texts; identities and graph are made anew in every epoch."""
    await conn.execute(
        "DELETE FROM document_texts WHERE workflow_id = $1 AND position = ANY($2)", workflow_id, positions
    )
