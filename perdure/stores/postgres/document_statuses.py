"""Reads statuses of documents of a run, by place in a queue or by source."""

from collections.abc import Sequence
from dataclasses import dataclass

from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.discovered import hash_uri

_COLUMNS = "position, uri, status, quality_score, reason, error_type"
_QUEUED = f"""
SELECT {_COLUMNS} FROM documents
WHERE workflow_id = $1 AND epoch = $2 AND ordinal >= $3 AND ordinal < $4 AND source = $5 AND status <> 'removed'
ORDER BY position
"""  # noqa: S608 - the columns are a constant of this module
_OF_SOURCE = f"""
SELECT {_COLUMNS} FROM documents
WHERE workflow_id = $1 AND (source = $2 OR uri_key(uri) = $3) AND status <> 'removed'
ORDER BY position
"""  # noqa: S608 - the columns are a constant of this module


@dataclass(frozen=True, slots=True)
class DocumentStatus:
    """One document of the manifest with its status."""

    position: int
    uri: str
    status: str
    """`processed`, `quarantined` or `cancelled`; `pending` for a document that is processed again."""
    quality_score: float | None
    """From 0 to 1; None unless the document is processed."""
    reason: str | None
    """The reason for the quarantine of the document, one sentence."""
    error_type: str | None
    """Class of the error for which the document is quarantined, such as `UnsupportedFormat`."""


async def read_queued_statuses(
    pool: PostgresPool, workflow_id: str, epoch: int, ordinals: range, source: str
) -> Sequence[DocumentStatus]:
    """Return the documents of a source at these ordinals of an epoch's queue, by position.

    Raises:
        DependencyUnavailable: the database cannot be reached.
    """
    async with pool.connection() as conn:
        rows = await conn.fetch(_QUEUED, workflow_id, epoch, ordinals.start, ordinals.stop, source)
    return [DocumentStatus(**dict(row)) for row in rows]


async def read_source_statuses(pool: PostgresPool, workflow_id: str, source: str) -> Sequence[DocumentStatus]:
    """Return all documents of a source, and the document whose URI the source is, by position.

    Raises:
        DependencyUnavailable: the database cannot be reached.
    """
    async with pool.connection() as conn:
        rows = await conn.fetch(_OF_SOURCE, workflow_id, source, hash_uri(source))
    return [DocumentStatus(**dict(row)) for row in rows]
