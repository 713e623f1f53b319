"""Rank the nodes of a run's graph in a child process. The child gets the rows in blocks."""

from perdure.sandbox.computation.exchange import ROWS
from perdure.sandbox.computation.parent import Subprocess
from perdure.stores.postgres.connection import Connection
from perdure.stores.postgres.identities import WHOLE_RUN_SECONDS, keep_alive
from perdure.stores.postgres.statements import load_statements

MAX_RANKED_EDGES = 1_000_000
"""Most edges of a run that decide its ranks: the heaviest. More edges would take gigabytes of memory."""

_SQL = load_statements("analytics.sql")


async def rank_nodes(conn: Connection, workflow_id: str) -> None:
    """Store the nodes of a graph, after its edges, in the transaction that has locked the run.

    Raises:
        DependencyUnavailable: the ranking process cannot be started, or has ended.
    """
    await conn.execute(*_SQL["create_ranks"].bind())
    async with Subprocess("perdure.services.analytics.child", "the ranking of the graph") as ranking:
        await _send_rows(conn, ranking, "SELECT identity_id FROM identities WHERE workflow_id = $1", workflow_id)
        edges = _SQL["list_heaviest_edges"].bind(workflow_id=workflow_id, limit=MAX_RANKED_EDGES)
        await _send_rows(conn, ranking, *edges)
        while ranks := await keep_alive(conn, ranking.receive()):
            identity_ids, pageranks, communities = (list(column) for column in zip(*ranks, strict=True))
            statement = _SQL["insert_ranks"].bind(
                identity_ids=identity_ids, pageranks=pageranks, communities=communities
            )
            await conn.execute(*statement, timeout=WHOLE_RUN_SECONDS)
    await conn.execute("ANALYZE run_ranks", timeout=WHOLE_RUN_SECONDS)
    await conn.execute(*_SQL["insert_nodes"].bind(workflow_id=workflow_id), timeout=WHOLE_RUN_SECONDS)
    await conn.execute("UPDATE graphs SET ranked = true WHERE workflow_id = $1", workflow_id)


async def _send_rows(conn: Connection, ranking: Subprocess, statement: str, *arguments: object) -> None:
    """Send the rows of a query in blocks; an empty block ends them."""
    rows = await conn.cursor(statement, *arguments, timeout=WHOLE_RUN_SECONDS)
    while block := await rows.fetch(ROWS, timeout=WHOLE_RUN_SECONDS):
        await keep_alive(conn, ranking.send([tuple(row) for row in block]))
    await keep_alive(conn, ranking.send([]))
