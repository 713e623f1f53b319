"""A pool that holds transactions before their COMMIT, and a wait for a lock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from perdure.checkpoint import WorkflowCheckpoint
from perdure.stores.postgres.checkpoints import append_checkpoint
from perdure.stores.postgres.connection import Connection, PostgresPool

_SECONDS = 90.0


class HeldPool(PostgresPool):
    """A `PostgresPool` whose transactions wait before their COMMIT until they are released."""

    def __init__(self, dsn: str, **options: Any) -> None:
        super().__init__(dsn, **options)
        self._held = asyncio.Event()
        self._released = asyncio.Event()
        self._server_pid = 0

    @asynccontextmanager
    async def transaction(self, *, limit_seconds: float | None = None) -> AsyncIterator[Connection]:
        """Yield a connection inside a transaction that waits before its COMMIT."""
        async with super().transaction(limit_seconds=limit_seconds) as conn:
            yield conn
            # The server must not end the transaction while a slow machine keeps the test waiting.
            await conn.execute("SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL transaction_timeout = 0")
            self._server_pid = conn.get_server_pid()
            self._held.set()
            await self._released.wait()

    async def wait_until_held(self, operation: "asyncio.Task[Any]") -> int:
        """Wait until the operation is ready for its COMMIT; returns the id of its server process."""
        held = asyncio.create_task(self._held.wait())
        async with asyncio.timeout(_SECONDS):
            await asyncio.wait({held, operation}, return_when=asyncio.FIRST_COMPLETED)
        held.cancel()
        if operation.done():
            await operation
        return self._server_pid

    def release(self) -> None:
        """Let every held transaction commit."""
        self._released.set()


async def append_and_hold(pool: HeldPool, checkpoint: WorkflowCheckpoint) -> bool:
    """Append a checkpoint in a transaction that waits before its COMMIT."""
    async with pool.transaction() as conn:
        return await append_checkpoint(conn, checkpoint)


async def is_blocked(observer: asyncpg.Connection, operation: "asyncio.Task[Any]", *, by: int) -> bool:
    """Wait until the server shows a process that waits for a lock of the process `by`.

    Args:
        observer: a connection that is not involved.
        operation: the operation that is expected to wait.
        by: the id of the server process that holds the lock.

    Returns:
        True when a process waits; False when the operation has ended instead.
    """
    async with asyncio.timeout(_SECONDS):
        while not operation.done():
            if await observer.fetchval(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid)))", by
            ):
                return True
            await asyncio.sleep(0.01)
    return False
