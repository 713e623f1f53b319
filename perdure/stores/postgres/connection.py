"""Connections to Postgres: opened when first needed, reopened when lost.

The blocks of `PostgresPool.connection` and `PostgresPool.transaction` hold nothing but SQL: the pool reads an `OSError`
that is raised in a block as a failure of the server.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import numpy as np
import numpy.typing as npt

from perdure.stores.postgres.address import check_answer, check_connection, mask_password
from perdure.stores.postgres.faults import convert_to_perdure_error, leaves_connection_unusable

__all__ = ["Connection", "PostgresPool", "check_answer", "check_connection", "mask_password"]

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
"""The connection that a store's statements run on."""

CONNECT_SECONDS = 10.0
"""Time limit of the opening of a connection, in seconds."""
ACQUIRE_SECONDS = 30.0
"""Seconds for which a caller waits for a free or a new connection."""
COMMAND_SECONDS = 60.0
"""Time limit of a statement, in seconds."""
CLEAN_UP_SECONDS = 5.0
"""Time limit of a rollback or of the return of a connection, in seconds. A slower server is disconnected."""
IDLE_SECONDS = 60.0
"""Seconds for which the pool keeps a connection that no caller uses."""
STOPPED_SECONDS = 15.0
"""Seconds for which the server keeps a transaction open that sends no statement.

Perdure never pauses inside a transaction. A process that was stopped (SIGSTOP) pauses there: its locks would block the
process that takes over its work until the stopped process continues.
"""
SHORT_SECONDS = 60.0
"""Time limit of a whole transaction over a few rows on a busy server, in seconds."""
_LIMITS_TRANSACTIONS_SINCE = 17
"""The major version of Postgres that introduced `transaction_timeout`."""
_ARRAYS = ("bigint", "integer", "real", "double precision", "text", "bytea", "boolean", "jsonb", "timestamptz")
"""The types whose arrays Perdure's statements send or return."""


class PostgresPool:
    """A pool of connections that stays usable after the server was unreachable.

    While the server is unreachable, a caller gets `DependencyUnavailable` and may ask again.

    Args:
        dsn: `postgresql://…`; the pool opens no connection before the first use.
        max_size: the largest number of connections in the pool.
        application_name: the name that the server shows for each connection.
        connect_timeout_seconds: how long the opening of a connection may take.
        command_timeout_seconds: how long a statement may take before the server counts as unavailable.
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
        """Yield a connection on which each statement is its own transaction.

        Raises:
            DependencyUnavailable: the server cannot be used now, or the connection was lost during the block.
            InvalidConfiguration: the address of the database cannot be read.
        """
        conn: asyncpg.pool.PoolConnectionProxy[asyncpg.Record] | None = None
        try:
            pool = await self._open()
            conn = await pool.acquire(timeout=ACQUIRE_SECONDS)
            await conn.learn_vectors()  # type: ignore[attr-defined]  # the proxy passes the call on to _PooledConnection
            yield conn
        except Exception as error:
            lost = conn is not None and _is_lost(conn)
            fault = convert_to_perdure_error(error, connection_lost=lost)
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
        """Yield a connection inside one transaction; an error in the block rolls it back.

        Args:
            limit_seconds: how long the server lets the whole transaction last. A limit is needed where other processes
                wait for the rows of this transaction. The limit on idle transactions does not count the time between
                the parts of a statement, and a process may be stopped there as well. Servers before version 17 ignore
                the limit.

        Raises:
            DependencyUnavailable: the server cannot be used now, or the connection was lost during the block. After a
                loss during COMMIT, the outcome is unknown.
            InvalidConfiguration: the address of the database cannot be read.
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
        """Close every connection. A second call does nothing, and a later use opens the pool again."""
        pool = self._pool
        self._pool = None
        if pool:
            try:
                async with asyncio.timeout(CLEAN_UP_SECONDS):
                    await pool.close()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                pool.terminate()

    async def _open(self) -> "asyncpg.Pool[asyncpg.Record]":
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
        """Have every connection replaced before its next use.

        After one connection was lost, the others are probably lost too.
        """
        if self._pool:
            await self._pool.expire_connections()

    async def _give_back(self, conn: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> None:
        pool = self._pool
        if pool is None:  # `close` was called during the block
            _disconnect(conn)
            return
        # An error of the block must not be hidden by the error of returning a broken connection.
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await pool.release(conn, timeout=CLEAN_UP_SECONDS)


class _PooledConnection(asyncpg.Connection):
    """A connection that reads and writes vectors once the database has their type."""

    _vectors_known = False

    async def learn_vectors(self) -> None:
        """Register the codec of pgvector's type. The first migration creates its extension."""
        if self._vectors_known:
            return
        schema = await self.fetchval(
            "SELECT nspname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE typname = 'vector'"
        )
        if schema:
            await self.set_type_codec(
                "vector", schema=schema, encoder=encode_vector, decoder=decode_vector, format="binary"
            )
            # asyncpg looks up a type of array when it first needs the type, and a new codec clears the types that
            # asyncpg has looked up. Inside a transaction, the server would wait for this process in the middle of a
            # statement, where no limit on idle transactions applies. So every type is looked up here.
            await self.prepare(f"SELECT {', '.join(f'NULL::{kind}[]' for kind in _ARRAYS)}")
            self._vectors_known = True


async def _prepare(conn: Any) -> None:
    await conn.set_type_codec("jsonb", schema="pg_catalog", encoder=_encode_json, decoder=json.loads)


async def _roll_back(conn: Connection, transaction: asyncpg.transaction.Transaction) -> None:
    try:
        async with asyncio.timeout(CLEAN_UP_SECONDS):
            await transaction.rollback()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        _disconnect(conn)  # the server rolls back when the connection ends


def _is_lost(conn: Connection) -> bool:
    try:
        return conn.is_closed()
    except asyncpg.InterfaceError:  # the pool has already taken the lost connection back
        return True


def _disconnect(conn: Connection) -> None:
    with suppress(asyncpg.InterfaceError):
        conn.terminate()


def _encode_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def encode_vector(vector: npt.ArrayLike) -> bytes:
    """Return the wire form of a vector, as pgvector reads it.

    The wire form is the number of dimensions and zero as 16-bit integers, then 32-bit floats, all big-endian.
    """
    values = np.asarray(vector, dtype=">f4")
    return len(values).to_bytes(2, "big") + b"\0\0" + values.tobytes()


def decode_vector(wire: bytes) -> npt.NDArray[np.float32]:
    """Return the vector of a wire form, the inverse of `encode_vector`; shape (dimensions,)."""
    return np.frombuffer(wire, dtype=">f4", offset=4).astype(np.float32)
