"""A few figures over a finished run, for people."""

from dataclasses import dataclass

from perdure.stores.postgres.connection import PostgresPool


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What came out of a run; `top` are names with their kind and the number of documents that mention them."""

    mentions: int
    identities: int
    chunks: int
    edges: int
    checkpoints: int
    top: tuple[tuple[str, str, int], ...]


async def run_summary(pool: PostgresPool, workflow_id: str, top: int = 5) -> RunSummary:
    """Count what a run has produced so far.

    Raises:
        DependencyUnavailable: the database cannot be reached.
    """
    async with pool.connection() as conn:
        row = await conn.fetchrow(
            """SELECT (SELECT count(*) FROM mentions WHERE workflow_id = $1) AS mentions,
                      (SELECT count(*) FROM identities WHERE workflow_id = $1) AS identities,
                      (SELECT count(*) FROM chunks WHERE workflow_id = $1) AS chunks,
                      (SELECT count(*) FROM graph_edges WHERE workflow_id = $1) AS edges,
                      (SELECT count(*) FROM workflow_checkpoints WHERE workflow_id = $1) AS checkpoints""",
            workflow_id,
        )
        names = await conn.fetch(
            """SELECT name, kind, document_count FROM identities
               WHERE workflow_id = $1 AND kind IN ('person', 'organisation', 'place')
               ORDER BY document_count DESC, mention_count DESC, name LIMIT $2""",
            workflow_id,
            top,
        )
    counted = dict(row) if row else dict.fromkeys(("mentions", "identities", "chunks", "edges", "checkpoints"), 0)
    return RunSummary(**counted, top=tuple((name["name"], name["kind"], name["document_count"]) for name in names))
