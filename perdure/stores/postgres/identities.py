"""Resolve and store the identities of a run; a child process compares the names.

The worker passes blocks of rows between Postgres and the child, so it holds one block for a run of any size. The run's
row stays locked during the whole resolution. Every statement is small, or sends no rows to the worker. So a worker that
is stopped (SIGSTOP) leaves an idle transaction, which the server ends.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from perdure.sandbox.computation.exchange import ROWS
from perdure.sandbox.computation.parent import Subprocess
from perdure.services.identity import IdentityCounts
from perdure.services.identity.names import COMPARED_KINDS
from perdure.stores.postgres.connection import STOPPED_SECONDS, Connection, PostgresPool
from perdure.stores.postgres.epochs import lock_run
from perdure.stores.postgres.statements import load_statements

RESOLVER = ("perdure.services.identity.child", "the identity resolver")
"""The module of the child process, and the name of the process in messages."""
WHOLE_RUN_SECONDS = 3600.0
"""The time limit of a statement over a whole run. A shorter limit would stop the statements of a large run."""
_KEEP_ALIVE_SECONDS = STOPPED_SECONDS / 3

IDENTITIES_SQL = load_statements("identities.sql")

Answer = TypeVar("Answer")


class PostgresIdentityStore:
    """Stores identities in Postgres; the protocol `IdentityStore` documents each method."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def counts(self, workflow_id: str) -> IdentityCounts:
        """Return the number of mentions of a run, and of mentions with a known identity."""
        async with self._pool.connection() as conn:
            row = await conn.fetchrow(*IDENTITIES_SQL["count_resolved_mentions"].bind(workflow_id=workflow_id))
        return IdentityCounts(row["mentions"], row["resolved"]) if row else IdentityCounts(0, 0)

    async def resolve(self, workflow_id: str, epoch: int) -> int:
        """Replace the identities of a run, once in an epoch; return their number."""
        async with self._pool.transaction() as conn:
            await lock_whole_run(conn, workflow_id, epoch)
            if await read_resolved_epoch(conn, workflow_id) != epoch:
                await _delete_identities(conn, workflow_id)
                await _make_identities(conn, workflow_id)
                await conn.execute(*IDENTITIES_SQL["store_resolution"].bind(workflow_id=workflow_id, epoch=epoch))
            return int(await conn.fetchval("SELECT count(*) FROM identities WHERE workflow_id = $1", workflow_id))


async def _delete_identities(conn: Connection, workflow_id: str) -> None:
    """Delete the identities of a run, and the graph that was made of them."""
    await _run(conn, "DELETE FROM graphs WHERE workflow_id = $1", workflow_id)
    await _run(conn, "DELETE FROM identities WHERE workflow_id = $1", workflow_id)


async def _make_identities(conn: Connection, workflow_id: str) -> None:
    # The planner has no statistics of rows that this transaction has written, and would join them row by row.
    await conn.execute("SET LOCAL enable_nestloop = off")
    await conn.execute(*IDENTITIES_SQL["create_tables"].bind())
    await _run(conn, *IDENTITIES_SQL["collect_surfaces"].bind(workflow_id=workflow_id))
    await _run(conn, *IDENTITIES_SQL["collect_names"].bind())
    await _run(conn, "ANALYZE run_surfaces, run_names")
    await _join_names(conn, workflow_id)
    await _run(conn, "ANALYZE run_joins")
    await _run(conn, *IDENTITIES_SQL["collect_members"].bind())
    await _run(conn, "ANALYZE run_members")
    await _run(conn, *IDENTITIES_SQL["collect_aliases"].bind())
    await _run(conn, "ANALYZE run_aliases")
    for name in ("store_identities", "store_members", "store_aliases"):
        await _run(conn, *IDENTITIES_SQL[name].bind(workflow_id=workflow_id))


async def _join_names(conn: Connection, workflow_id: str) -> None:
    """Have the child process compare the names of every kind, and store which names it joins."""
    kinds = await conn.fetch("SELECT kind FROM run_names GROUP BY kind HAVING count(*) > 1")
    present = {row["kind"] for row in kinds}
    compared = [kind for kind in COMPARED_KINDS if kind in present]
    if not compared:
        return
    async with Subprocess(*RESOLVER) as resolver:
        for kind in compared:
            await _join_names_of_kind(conn, workflow_id, resolver, kind)


async def _join_names_of_kind(conn: Connection, workflow_id: str, resolver: Subprocess, kind: str) -> None:
    """Send names, receive pairs, send the number of documents of each pair, and receive joins."""
    await resolver.send(kind)
    names = await conn.cursor(*IDENTITIES_SQL["list_names_of_kind"].bind(kind=kind))
    while block := await names.fetch(ROWS, timeout=WHOLE_RUN_SECONDS):
        await keep_alive(conn, resolver.send([tuple(row) for row in block]))
    await resolver.send([])
    await conn.execute("DELETE FROM run_pairs")
    while pairs := await keep_alive(conn, resolver.receive()):
        await _run(
            conn,
            *IDENTITIES_SQL["insert_pairs"].bind(
                short=[short for short, _ in pairs], other=[other for _, other in pairs]
            ),
        )
    await _run(conn, "ANALYZE run_pairs")
    statement = IDENTITIES_SQL["count_shared_documents"].bind(workflow_id=workflow_id)
    shared = await conn.cursor(*statement, timeout=WHOLE_RUN_SECONDS)
    while block := await shared.fetch(ROWS, timeout=WHOLE_RUN_SECONDS):
        await keep_alive(conn, resolver.send([tuple(row) for row in block]))
    await resolver.send([])
    while joins := await keep_alive(conn, resolver.receive()):
        numbers, canonicals, rules, scores = (list(column) for column in zip(*joins, strict=True))
        await _run(
            conn,
            *IDENTITIES_SQL["insert_joins"].bind(number=numbers, canonical=canonicals, rule=rules, score=scores),
        )


async def keep_alive(conn: Connection, answer: Awaitable[Answer]) -> Answer:
    """Wait for a child process, and keep the transaction alive.

    The server ends an idle transaction, so a statement is sent from time to time.
    """
    waiting = asyncio.ensure_future(answer)
    try:
        while not (await asyncio.wait({waiting}, timeout=_KEEP_ALIVE_SECONDS))[0]:
            await conn.execute("SELECT 1")
        return await waiting
    finally:
        waiting.cancel()


async def _run(conn: Connection, statement: str, *arguments: object) -> None:
    await conn.execute(statement, *arguments, timeout=WHOLE_RUN_SECONDS)


async def read_resolved_epoch(conn: Connection, workflow_id: str) -> int | None:
    """Return the epoch of the run's last resolution, None if there is none.

    A resolution covers all documents of a run, so no epoch needs a second resolution. A worker that was stopped during
    its resolution may continue after another worker has resolved the run. Such a worker reads the epoch here, and
    changes nothing.
    """
    epoch: int | None = await conn.fetchval("SELECT epoch FROM resolutions WHERE workflow_id = $1", workflow_id)
    return epoch


async def lock_whole_run(conn: Connection, workflow_id: str, epoch: int) -> None:
    """Lock a run for a transaction over all of its rows.

    Raises:
        StaleWriter: a later run has taken over.
        StoreSetBack: the database does not know this epoch.
    """
    # When this process is killed, the server notices within a second instead of at the end of the statement. Until
    # then the lock would block the process that takes over the work.
    await conn.execute("SET LOCAL client_connection_check_interval = '1s'")
    await lock_run(conn, workflow_id, epoch)
