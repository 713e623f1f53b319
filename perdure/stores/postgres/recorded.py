"""Read the documents that a run has recorded, for a dry run that predicts a new start."""

from collections.abc import Sequence
from dataclasses import dataclass

from perdure.documents.document import PROCESSING_VERSION
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.discovered import hash_uri

_RECORDED = """
SELECT uri, status, sha256, read_version, processed_by IS DISTINCT FROM $3 AS outdated
FROM documents WHERE workflow_id = $1 AND uri_key(uri) = ANY($2) AND status <> 'removed'
"""
_COUNTED = """
SELECT regexp_replace(source, '#(include|ignore)=.*$', '') AS source, count(*) AS documents
FROM documents WHERE workflow_id = $1 AND status <> 'removed' GROUP BY 1
"""
# The pace of the latest run that finished enough documents for an estimate, from its first commit to its last commit.
_PACE = """
SELECT r.workflow_id, finished.documents, finished.seconds
FROM (SELECT workflow_id, epoch FROM runs ORDER BY updated_at DESC LIMIT 5) AS r
CROSS JOIN LATERAL (
    SELECT count(*) AS documents, extract(epoch FROM max(committed_at) - min(committed_at))::float8 AS seconds
    FROM documents d WHERE d.workflow_id = r.workflow_id AND d.epoch = r.epoch AND d.committed_at IS NOT NULL
) AS finished
WHERE finished.documents >= $1 AND finished.seconds > 0
LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class RecordedDocument:
    """A document of the manifest as an earlier start left it."""

    status: str
    sha256: str | None
    read_version: str | None
    outdated: bool
    """Whether another version of the processing code made the document's results."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The pace at which a run finished documents."""

    workflow_id: str
    documents: int
    seconds: float


class RecordedDocuments:
    """The manifest of one run, read only.

    Args:
        pool: pool of the database.
        workflow_id: the run. A run that the database does not know has no recorded documents.
    """

    def __init__(self, pool: PostgresPool, workflow_id: str) -> None:
        self._pool = pool
        self._run = workflow_id

    async def find(self, uris: Sequence[str]) -> dict[str, RecordedDocument]:
        """Return the recorded documents with these URIs, by URI.

        Raises:
            DependencyUnavailable: the database cannot be reached.
        """
        async with self._pool.transaction() as conn:
            # A generic plan for a page of URIs scans the whole table.
            await conn.execute("SET LOCAL plan_cache_mode = force_custom_plan")
            rows = await conn.fetch(_RECORDED, self._run, [hash_uri(uri) for uri in uris], PROCESSING_VERSION)
        return {
            row["uri"]: RecordedDocument(row["status"], row["sha256"], row["read_version"], row["outdated"])
            for row in rows
        }

    async def count_by_source(self) -> dict[str, int]:
        """Return the number of documents recorded under each source, without its patterns.

        Raises:
            DependencyUnavailable: the database cannot be reached.
        """
        async with self._pool.connection() as conn:
            rows = await conn.fetch(_COUNTED, self._run)
        return {row["source"]: row["documents"] for row in rows}


async def measure_pace(pool: PostgresPool, *, at_least: int) -> Pace | None:
    """Return the pace of the latest run that finished at least `at_least` documents.

    Return None if there is none.

    Raises:
        DependencyUnavailable: the database cannot be reached.
    """
    async with pool.connection() as conn:
        row = await conn.fetchrow(_PACE, at_least)
    return Pace(row["workflow_id"], row["documents"], row["seconds"]) if row else None
