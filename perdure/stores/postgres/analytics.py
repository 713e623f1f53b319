"""Graph, table and vector outputs in Postgres, each made by one set-based statement."""

import asyncpg

from perdure.services.analytics import AnalyticsSummary
from perdure.stores.postgres.connection import Connection, PostgresPool
from perdure.stores.postgres.identities import WHOLE_RUN_SECONDS, resolved_in, take_run
from perdure.stores.postgres.ranking import rank_nodes
from perdure.stores.postgres.signatures import make_signatures

OCCURRENCES = """
WITH occurrences AS (
    SELECT m.position, i.identity_id,
           row_number() OVER (PARTITION BY m.position ORDER BY count(*) DESC, i.identity_id COLLATE "C") AS rank
    FROM mentions m JOIN identity_members i USING (workflow_id, kind, normalised)
    WHERE m.workflow_id = $1 GROUP BY m.position, i.identity_id
), chosen AS (SELECT position, identity_id FROM occurrences WHERE rank <= $2)
"""

_EDGES = f"""{OCCURRENCES}
INSERT INTO graph_edges (workflow_id, source, target, weight)
SELECT $1, a.identity_id, b.identity_id, count(*)
FROM chosen a JOIN chosen b ON a.position = b.position AND a.identity_id < b.identity_id
GROUP BY a.identity_id, b.identity_id
"""  # noqa: S608 - put together from constants

STATISTICS_OF_RUN = """
SELECT d.workflow_id, d.position, d.characters, d.chunk_count, d.mention_count,
       coalesce(m.identities, 0), coalesce(m.kinds, '{}')
FROM documents d LEFT JOIN (
    SELECT position, sum(identities) AS identities, jsonb_object_agg(kind, mentions) AS kinds
    FROM (SELECT position, kind, count(DISTINCT identity_id) AS identities, count(*) AS mentions
          FROM mentions JOIN identity_members USING (workflow_id, kind, normalised)
          WHERE workflow_id = $1 GROUP BY position, kind) AS by_kind
    GROUP BY position
) AS m USING (position)
WHERE d.workflow_id = $1 AND d.status = 'processed'
"""
_STATISTICS = f"INSERT INTO document_statistics {STATISTICS_OF_RUN}"

VECTORS_OF_RUN = """
SELECT workflow_id, position, l2_normalize(avg(embedding ORDER BY ordinal))
FROM chunks WHERE workflow_id = $1 GROUP BY workflow_id, position
"""
_VECTORS = f"INSERT INTO document_vectors {VECTORS_OF_RUN}"


_BUILT = """
SELECT node_count, edge_count, (SELECT count(*) FROM document_statistics WHERE workflow_id = $1),
       (SELECT count(*) FROM document_vectors WHERE workflow_id = $1)
FROM graphs WHERE workflow_id = $1
"""


class PostgresAnalyticsStore:
    """`perdure.services.analytics.AnalyticsStore` over Postgres."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def graphs(self) -> int:
        async with self._pool.connection() as conn:
            return int(await conn.fetchval("SELECT count(*) FROM graphs"))

    async def modes(self) -> list[str]:
        async with self._pool.connection() as conn:
            return ["graph", "table", *(["vector"] if await _vectors_answer(conn) else [])]

    async def build(self, workflow_id: str, epoch: int, max_identities: int) -> AnalyticsSummary:
        async with self._pool.transaction() as conn:
            await take_run(conn, workflow_id, epoch)
            if await resolved_in(conn, workflow_id) == epoch and (built := await conn.fetchrow(_BUILT, workflow_id)):
                return AnalyticsSummary(*built)  # a graph goes with its identities, so this one is made of the present
            # Rows that this transaction has written are unknown to the planner, which would pair them one by one.
            await conn.execute("SET LOCAL enable_nestloop = off")
            for table in ("graphs", "document_statistics", "document_vectors"):
                await _execute(conn, f"DELETE FROM {table} WHERE workflow_id = $1", workflow_id)  # noqa: S608 - constants
            nodes = await conn.fetchval("SELECT count(*) FROM identities WHERE workflow_id = $1", workflow_id)
            await conn.execute("INSERT INTO graphs VALUES ($1, $2, 0)", workflow_id, nodes)
            edges = await _execute(conn, _EDGES, workflow_id, max_identities)
            await conn.execute("UPDATE graphs SET edge_count = $2 WHERE workflow_id = $1", workflow_id, edges)
            await rank_nodes(conn, workflow_id)
            rows = await _execute(conn, _STATISTICS, workflow_id)
            vectors = await _execute(conn, _VECTORS, workflow_id)
            await make_signatures(conn, workflow_id)
        return AnalyticsSummary(nodes, edges, rows, vectors)


async def _execute(conn: Connection, statement: str, *arguments: object) -> int:
    """Execute a statement over a whole run; returns how many rows it wrote."""
    outcome = await conn.execute(statement, *arguments, timeout=WHOLE_RUN_SECONDS)
    return int(outcome.rsplit(" ", 1)[1])


async def _vectors_answer(conn: Connection) -> bool:
    """Whether pgvector really works: the extension may be missing, or its library gone from under it."""
    try:
        return bool(await conn.fetchval("SELECT vector_norm('[3,4]'::vector) = 5"))
    except (asyncpg.UndefinedObjectError, asyncpg.UndefinedFunctionError, asyncpg.UndefinedFileError):
        return False
