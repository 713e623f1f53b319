"""Identities in Postgres: the database counts and stores, a process of its own compares, the worker passes blocks on.

Whatever the size of a run, the worker holds a block of it. The run's row stays locked all the while, so every statement
is small or the server's own work: a worker that is stopped in the middle is one with an idle transaction, which the
server ends.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from perdure.sandbox.computation.exchange import ROWS
from perdure.sandbox.computation.parent import Subprocess
from perdure.services.identity import IdentityCounts
from perdure.services.identity.names import COMPARED_KINDS
from perdure.stores.postgres import identities_sql as sql
from perdure.stores.postgres.connection import STOPPED_SECONDS, Connection, PostgresPool
from perdure.stores.postgres.epochs import check_epoch

RESOLVER = ("perdure.services.identity.child", "the identity resolver")
"""Its module, and what people call it."""
WHOLE_RUN_SECONDS = 3600.0
"""For a statement over a whole run, which takes as long as it takes: cut short, it would only begin again, for ever."""
_AWAKE_SECONDS = STOPPED_SECONDS / 3

Answer = TypeVar("Answer")


class PostgresIdentityStore:
    """`perdure.services.identity.IdentityStore` over Postgres."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def counts(self, workflow_id: str) -> IdentityCounts:
        async with self._pool.connection() as conn:
            row = await conn.fetchrow(sql.COUNTS, workflow_id)
        return IdentityCounts(row["mentions"], row["resolved"]) if row else IdentityCounts(0, 0)

    async def resolve(self, workflow_id: str, epoch: int) -> int:
        async with self._pool.transaction() as conn:
            await take_run(conn, workflow_id, epoch)
            if await resolved_in(conn, workflow_id) != epoch:
                # The graph goes with the identities that it was made of.
                for table in ("graphs", "identities"):
                    await _run(conn, f"DELETE FROM {table} WHERE workflow_id = $1", workflow_id)  # noqa: S608 - constants
                # Of rows that this transaction has written the planner knows little, and would pair them one by one.
                await conn.execute("SET LOCAL enable_nestloop = off")
                await conn.execute(sql.TEMPORARY_TABLES)
                await _run(conn, sql.SURFACES, workflow_id)
                await _run(conn, sql.NAMES)
                await _run(conn, "ANALYZE run_surfaces, run_names")
                await _join_names(conn, workflow_id)
                await _run(conn, "ANALYZE run_joins")
                await _run(conn, sql.MEMBERS)
                await _run(conn, "ANALYZE run_members")
                await _run(conn, sql.ALIASES)
                await _run(conn, "ANALYZE run_aliases")
                for statement in (sql.STORE_IDENTITIES, sql.STORE_MEMBERS, sql.STORE_ALIASES):
                    await _run(conn, statement, workflow_id)
                await conn.execute(sql.STORE_RESOLUTION, workflow_id, epoch)
            return int(await conn.fetchval("SELECT count(*) FROM identities WHERE workflow_id = $1", workflow_id))


async def _join_names(conn: Connection, workflow_id: str) -> None:
    """Have the names of every kind compared, and keep which belong together."""
    kinds = await conn.fetch("SELECT kind FROM run_names GROUP BY kind HAVING count(*) > 1")
    compared = [kind for kind in COMPARED_KINDS if kind in {row["kind"] for row in kinds}]
    if not compared:
        return
    async with Subprocess(*RESOLVER) as resolver:
        for kind in compared:
            await resolver.send(kind)
            names = await conn.cursor(sql.NAMES_OF_KIND, kind)
            while block := await names.fetch(ROWS, timeout=WHOLE_RUN_SECONDS):
                await awake(conn, resolver.send([tuple(row) for row in block]))
            await resolver.send([])
            await conn.execute("DELETE FROM run_pairs")
            while pairs := await awake(conn, resolver.receive()):
                await _run(conn, sql.ASK, *map(list, zip(*pairs, strict=True)))
            await _run(conn, "ANALYZE run_pairs")
            shared = await conn.cursor(sql.SHARED, workflow_id, timeout=WHOLE_RUN_SECONDS)
            while block := await shared.fetch(ROWS, timeout=WHOLE_RUN_SECONDS):
                await awake(conn, resolver.send([tuple(row) for row in block]))
            await resolver.send([])
            while joins := await awake(conn, resolver.receive()):
                await _run(conn, sql.JOIN, *map(list, zip(*joins, strict=True)))


async def awake(conn: Connection, answer: Awaitable[Answer]) -> Answer:
    """Wait for a child process, and show the server meanwhile that this process is alive."""
    waiting = asyncio.ensure_future(answer)
    try:
        while not (await asyncio.wait({waiting}, timeout=_AWAKE_SECONDS))[0]:
            await conn.execute("SELECT 1")
        return await waiting
    finally:
        waiting.cancel()


async def _run(conn: Connection, statement: str, *arguments: object) -> None:
    await conn.execute(statement, *arguments, timeout=WHOLE_RUN_SECONDS)


async def resolved_in(conn: Connection, workflow_id: str) -> int | None:
    """The epoch of the run's last resolution: one is made of all its documents, so no epoch needs a second.

    Who was stopped in the middle, and wakes up when another has resolved the run, finds it here and changes nothing.
    """
    epoch: int | None = await conn.fetchval("SELECT epoch FROM resolutions WHERE workflow_id = $1", workflow_id)
    return epoch


async def take_run(conn: Connection, workflow_id: str, epoch: int) -> None:
    """Lock the run for a transaction over all of its rows.

    Raises:
        StaleWriter: a later run has taken over.
        StoreSetBack: the database has never heard of this epoch.
    """
    # Should this process be killed, the server notices within a second, not when the statement ends: until then it
    # would hold the lock, and whoever takes up the work would wait for it.
    await conn.execute("SET LOCAL client_connection_check_interval = '1s'")
    latest = await conn.fetchval("SELECT epoch FROM runs WHERE workflow_id = $1 FOR UPDATE", workflow_id)
    check_epoch(workflow_id, latest, epoch)
