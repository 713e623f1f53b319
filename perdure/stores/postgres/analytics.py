"""Build the graph, table and vectors of a run, each with one statement over the whole run."""

from typing import Any

import asyncpg

from perdure.services.analytics import AnalyticsSummary
from perdure.stores.postgres.connection import Connection, PostgresPool
from perdure.stores.postgres.identities import WHOLE_RUN_SECONDS, lock_whole_run, read_resolved_epoch
from perdure.stores.postgres.ranking import rank_nodes
from perdure.stores.postgres.signatures import make_signatures
from perdure.stores.postgres.statements import count_rows, load_statements

ANALYTICS_SQL = load_statements("analytics.sql")


class PostgresAnalyticsStore:
    """Stores analytics in Postgres; the protocol `AnalyticsStore` documents each method."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def graphs(self) -> int:
        """Return the number of runs that have a graph."""
        async with self._pool.connection() as conn:
            return int(await conn.fetchval("SELECT count(*) FROM graphs"))

    async def modes(self) -> list[str]:
        """Return the analysis modes that the database can carry out."""
        modes = ["graph", "table"]
        async with self._pool.connection() as conn:
            if await _can_use_vectors(conn):
                modes.append("vector")
        return modes

    async def build(self, workflow_id: str, epoch: int, max_identities: int) -> AnalyticsSummary:
        """Replace the graph, table and vectors of a run, in one transaction."""
        run = {"workflow_id": workflow_id}
        async with self._pool.transaction() as conn:
            await lock_whole_run(conn, workflow_id, epoch)
            if await read_resolved_epoch(conn, workflow_id) == epoch:
                # A graph is deleted with its identities, so an existing graph was made of the present identities.
                built = await conn.fetchrow(*ANALYTICS_SQL["count_built"].bind(**run))
                if built:
                    return AnalyticsSummary(*built)
            # The planner has no statistics of rows that this transaction has written, and would join them row by row.
            await conn.execute("SET LOCAL enable_nestloop = off")
            for table in ("graphs", "document_statistics", "document_vectors"):
                await _execute(conn, f"DELETE FROM {table} WHERE workflow_id = $1", workflow_id)  # noqa: S608 - constants
            nodes = await conn.fetchval("SELECT count(*) FROM identities WHERE workflow_id = $1", workflow_id)
            await conn.execute(*ANALYTICS_SQL["insert_graph"].bind(**run, nodes=nodes))
            edges = await _execute(conn, *ANALYTICS_SQL["insert_edges"].bind(**run, max_identities=max_identities))
            await conn.execute("UPDATE graphs SET edge_count = $2 WHERE workflow_id = $1", workflow_id, edges)
            await rank_nodes(conn, workflow_id)
            rows = await _execute(conn, *ANALYTICS_SQL["insert_statistics"].bind(**run))
            vectors = await _execute(conn, *ANALYTICS_SQL["insert_vectors"].bind(**run))
            await make_signatures(conn, workflow_id)
        return AnalyticsSummary(nodes, edges, rows, vectors)


async def _execute(conn: Connection, statement: str, *arguments: Any) -> int:
    """Execute a statement over a whole run; return the number of written rows."""
    return count_rows(await conn.execute(statement, *arguments, timeout=WHOLE_RUN_SECONDS))


async def _can_use_vectors(conn: Connection) -> bool:
    """Return whether pgvector works; its extension or its library may be missing."""
    try:
        return bool(await conn.fetchval("SELECT vector_norm('[3,4]'::vector) = 5"))
    except (asyncpg.UndefinedObjectError, asyncpg.UndefinedFunctionError, asyncpg.UndefinedFileError):
        return False
