"""The nodes of a run's graph: a process of its own ranks them, the worker passes blocks on."""

from perdure.sandbox.computation.exchange import ROWS
from perdure.sandbox.computation.parent import Subprocess
from perdure.stores.postgres.connection import Connection
from perdure.stores.postgres.identities import WHOLE_RUN_SECONDS, awake

MAX_RANKED_EDGES = 1_000_000
"""The heaviest edges of a run decide its ranks: more of them would take gigabytes, and weigh the least."""

_NODES = "SELECT identity_id FROM identities WHERE workflow_id = $1"
_EDGES = """
SELECT source, target, weight FROM graph_edges WHERE workflow_id = $1
ORDER BY weight DESC, source COLLATE "C", target COLLATE "C" LIMIT $2
"""
_RANKS = """
CREATE TEMPORARY TABLE run_ranks (identity_id text, pagerank double precision, community integer) ON COMMIT DROP
"""
_KEEP = "INSERT INTO run_ranks SELECT * FROM unnest($1::text[], $2::double precision[], $3::integer[])"
DEGREES = """
SELECT identity_id, count(*) AS degree, sum(weight)::bigint AS strength
FROM (SELECT source AS identity_id, weight FROM graph_edges WHERE workflow_id = $1
      UNION ALL SELECT target, weight FROM graph_edges WHERE workflow_id = $1) AS ends
GROUP BY identity_id
"""
_STORE = f"""
INSERT INTO graph_nodes (workflow_id, identity_id, pagerank, community, degree, strength)
SELECT $1, identity_id, pagerank, community, coalesce(degree, 0), coalesce(strength, 0)
FROM run_ranks LEFT JOIN ({DEGREES}) AS degrees USING (identity_id)
"""  # noqa: S608 - put together from constants


async def rank_nodes(conn: Connection, workflow_id: str) -> None:
    """Store the nodes of a graph whose edges are there, in the transaction that holds the run.

    Raises:
        DependencyUnavailable: the ranking process cannot be started, or has ended.
    """
    await conn.execute(_RANKS)
    async with Subprocess("perdure.services.analytics.child", "the ranking of the graph") as ranking:
        for statement, arguments in ((_NODES, (workflow_id,)), (_EDGES, (workflow_id, MAX_RANKED_EDGES))):
            rows = await conn.cursor(statement, *arguments, timeout=WHOLE_RUN_SECONDS)
            while block := await rows.fetch(ROWS, timeout=WHOLE_RUN_SECONDS):
                await awake(conn, ranking.send([tuple(row) for row in block]))
            await awake(conn, ranking.send([]))
        while ranks := await awake(conn, ranking.receive()):
            await conn.execute(_KEEP, *map(list, zip(*ranks, strict=True)), timeout=WHOLE_RUN_SECONDS)
    await conn.execute("ANALYZE run_ranks", timeout=WHOLE_RUN_SECONDS)
    await conn.execute(_STORE, workflow_id, timeout=WHOLE_RUN_SECONDS)
    await conn.execute("UPDATE graphs SET ranked = true WHERE workflow_id = $1", workflow_id)
