"""`CutPool`: a pool whose connections break after the k-th statement, closed by the client or by the server."""

from typing import Any
from unittest import mock

import asyncpg

from perdure.stores.postgres import connection
from perdure.stores.postgres.connection import PostgresPool

Statement = Any


class Fuse:
    """Counts answered statements, BEGIN and COMMIT included, and breaks the connection after the last one."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self.left: int | None = None
        self.by_server = False
        self.struck = False

    def light(self, statements: int, *, by_server: bool) -> None:
        self.left, self.by_server, self.struck = statements, by_server, False

    def put_out(self) -> None:
        self.left = None

    async def burn(self, conn: asyncpg.Connection) -> None:
        """Count one answer. After the last one, break the connection, so that the caller does not get the answer."""
        if self.left is None:
            return
        if self.left > 0:
            self.left -= 1
            return
        self.left, self.struck = None, True
        if self.by_server:
            executioner = await asyncpg.connect(self._dsn)
            try:
                await executioner.fetchval("SELECT pg_terminate_backend($1, 5000)", conn.get_server_pid())
            finally:
                await executioner.close()
        conn.terminate()
        raise ConnectionResetError("the connection was cut")


class CutPool(PostgresPool):
    """A `PostgresPool` whose connections break when its fuse has burnt down."""

    def __init__(self, dsn: str, **options: Any) -> None:
        super().__init__(dsn, **options)
        self.fuse = Fuse(dsn)

    async def _opened(self) -> "asyncpg.Pool[asyncpg.Record]":
        with mock.patch.object(connection, "_PooledConnection", _cutting(self.fuse)):
            return await super()._opened()


def _cutting(fuse: Fuse) -> type[asyncpg.Connection]:
    def counted(name: str) -> Any:
        statement = getattr(connection._PooledConnection, name)

        async def count(self: asyncpg.Connection, *args: Any, **named: Any) -> Any:
            answer = await statement(self, *args, **named)
            await fuse.burn(self)
            return answer

        return count

    statements = ("execute", "fetch", "fetchval", "fetchrow", "copy_records_to_table")
    return type("CuttingConnection", (connection._PooledConnection,), {name: counted(name) for name in statements})
