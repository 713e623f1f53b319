"""Connections to Postgres: opened when first needed, reopened when lost.

Inside the blocks of `PostgresPool.connection` and `.transaction` stands nothing but SQL: an `OSError` raised there is
taken for the server's.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import numpy as np
import numpy.typing as npt

from perdure.stores.postgres.address import check_answer, check_connection, masked
from perdure.stores.postgres.faults import leaves_connection_unusable, translated

__all__ = ["Connection", "PostgresPool", "check_answer", "check_connection", "masked"]

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
"""What a store's statements run on."""

CONNECT_SECONDS = 10.0
ACQUIRE_SECONDS = 30.0
"""For a free connection when all are in use, the time to open it included."""
COMMAND_SECONDS = 60.0
CLEAN_UP_SECONDS = 5.0
"""For a rollback, or to give a connection back; whoever is slower than that is disconnected."""
IDLE_SECONDS = 60.0
STOPPED_SECONDS = 15.0
"""How long the server leaves a transaction open in which nothing is asked of it. We never pause in one; a process that
was stopped does, and would hold its rows, and whoever takes up its work, until somebody lets it go on."""
SHORT_SECONDS = 60.0
"""For a transaction of a few rows, from its beginning to its end, on a server that is busy."""
_LIMITS_TRANSACTIONS_SINCE = 17
_ARRAYS = ("bigint", "integer", "real", "double precision", "text", "bytea", "boolean", "jsonb", "timestamptz")
"""Whose arrays our statements take or give."""


class PostgresPool:
    """A pool that outlives the server's absences: whoever asks while it is away is told so, and asks again.

    Args:
        dsn: `postgresql://…`; nothing is connected before the first use.
        max_size: connections at the most.
        application_name: shown by the server beside each connection.
        connect_timeout_seconds: for a new connection to be made.
        command_timeout_seconds: for one statement, after which the server counts as unavailable.
    """

    def __init__(
        self,
        dsn: str,
        *,
        max_size: int = 10,
        application_name: str = "perdure",
        connect_timeout_seconds: float = CONNECT_SECONDS,
        command_timeout_seconds: float = COMMAND_SECONDS,
    ) -> None:
        self._dsn = dsn
        self._max_size = max_size
        self._application_name = application_name
        self._connect_seconds = connect_timeout_seconds
        self._command_seconds = command_timeout_seconds
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection on which each statement is its own transaction.

        Raises:
            DependencyUnavailable: the server cannot be used now, or was lost meanwhile.
            InvalidConfiguration: its address is no address.
        """
        conn: asyncpg.pool.PoolConnectionProxy[asyncpg.Record] | None = None
        try:
            pool = await self._opened()
            conn = await pool.acquire(timeout=ACQUIRE_SECONDS)
            await conn.learn_vectors()  # type: ignore[attr-defined]  # the proxy passes it on to _PooledConnection
            yield conn
        except Exception as error:
            lost = conn is not None and _is_lost(conn)
            fault = translated(error, connection_lost=lost)
            if fault is None:
                raise
            if conn is not None and (lost or leaves_connection_unusable(error)):
                _disconnect(conn)
                await self._distrust_idle_connections()
            raise fault from error
        finally:
            if conn is not None:
                await self._give_back(conn)

    @asynccontextmanager
    async def transaction(self, *, limit_seconds: float | None = None) -> AsyncIterator[Connection]:
        """A connection inside one transaction, committed when the block ends and rolled back when it raises.

        Args:
            limit_seconds: after which the server ends it, whatever it does. Of use where others wait for its rows:
                the limit on idle transactions does not count the time between the parts of a statement, and a process
                may be stopped there as well. Servers before version 17 cannot.

        Raises:
            DependencyUnavailable: as `connection`; if it was lost during COMMIT, the outcome is unknown.
            InvalidConfiguration: as `connection`.
        """
        async with self.connection() as conn:
            transaction = conn.transaction()
            await transaction.start()
            try:
                if limit_seconds and conn.get_server_version().major >= _LIMITS_TRANSACTIONS_SINCE:
                    await conn.execute(f"SET LOCAL transaction_timeout = '{limit_seconds:.0f}s'")
                yield conn
            except BaseException as error:
                if leaves_connection_unusable(error) or _is_lost(conn):
                    _disconnect(conn)
                else:
                    await _roll_back(conn, transaction)
                raise
            await transaction.commit()

    async def close(self) -> None:
        """Close every connection; safe to call twice. A later use opens the pool again."""
        pool, self._pool = self._pool, None
        if pool:
            try:
                async with asyncio.timeout(CLEAN_UP_SECONDS):
                    await pool.close()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                pool.terminate()

    async def _opened(self) -> "asyncpg.Pool[asyncpg.Record]":
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._dsn,
                    min_size=0,
                    max_size=self._max_size,
                    timeout=self._connect_seconds,
                    command_timeout=self._command_seconds,
                    max_inactive_connection_lifetime=IDLE_SECONDS,
                    connection_class=_PooledConnection,
                    init=_prepare,
                    server_settings={
                        "application_name": self._application_name,
                        "idle_in_transaction_session_timeout": f"{STOPPED_SECONDS:.0f}s",
                    },
                )
            return self._pool

    async def _distrust_idle_connections(self) -> None:
        """One lost connection means that the others are probably dead too: have each replaced before its next use."""
        if self._pool:
            await self._pool.expire_connections()

    async def _give_back(self, conn: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> None:
        pool = self._pool
        if pool is None:  # closed meanwhile
            _disconnect(conn)
            return
        # What went wrong in the block is worth telling; that the connection could not be tidied afterwards is not.
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await pool.release(conn, timeout=CLEAN_UP_SECONDS)


class _PooledConnection(asyncpg.Connection):
    """A connection that learns to read and write vectors as soon as the database knows them."""

    _vectors_known = False

    async def learn_vectors(self) -> None:
        """Register the codec of pgvector's type; its extension comes with the first migration."""
        if self._vectors_known:
            return
        schema = await self.fetchval(
            "SELECT nspname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE typname = 'vector'"
        )
        if schema:
            await self.set_type_codec(
                "vector", schema=schema, encoder=encode_vector, decoder=decode_vector, format="binary"
            )
            # When asyncpg first meets a type of array it asks for what it does not know, and a new codec makes it
            # forget. In a transaction the server would wait for us in the middle of that statement: no limit on idle
            # transactions ends it if this process is stopped there.
            await self.prepare(f"SELECT {', '.join(f'NULL::{kind}[]' for kind in _ARRAYS)}")
            self._vectors_known = True


async def _prepare(conn: Any) -> None:
    await conn.set_type_codec("jsonb", schema="pg_catalog", encoder=_encode_json, decoder=json.loads)


async def _roll_back(conn: Connection, transaction: asyncpg.transaction.Transaction) -> None:
    try:
        async with asyncio.timeout(CLEAN_UP_SECONDS):
            await transaction.rollback()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        _disconnect(conn)  # which rolls back as well


def _is_lost(conn: Connection) -> bool:
    try:
        return conn.is_closed()
    except asyncpg.InterfaceError:  # so lost that the pool has taken it back already
        return True


def _disconnect(conn: Connection) -> None:
    with suppress(asyncpg.InterfaceError):
        conn.terminate()


def _encode_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def encode_vector(vector: npt.ArrayLike) -> bytes:
    """Pgvector's wire form: dimensions and zero as 16-bit integers, then 32-bit floats, all big-endian."""
    values = np.asarray(vector, dtype=">f4")
    return len(values).to_bytes(2, "big") + b"\0\0" + values.tobytes()


def decode_vector(wire: bytes) -> npt.NDArray[np.float32]:
    """The inverse of `encode_vector`; shape (dimensions,)."""
    return np.frombuffer(wire, dtype=">f4", offset=4).astype(np.float32)
