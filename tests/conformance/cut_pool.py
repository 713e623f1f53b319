"""A pool whose connections break after a chosen statement, at the client or at the server."""

from typing import Any
from unittest import mock

import asyncpg

from perdure.stores.postgres import connection
from perdure.stores.postgres.connection import PostgresPool

Statement = Any


class Fuse:
    """Cuts a connection after a number of answered statements, BEGIN and COMMIT included."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self.left: int | None = None
        self.by_server = False
        self.struck = False

    def light(self, statements: int, *, by_server: bool) -> None:
        """Cut the connection after this many more answered statements."""
        self.left = statements
        self.by_server = by_server
        self.struck = False

    def put_out(self) -> None:
        """Cut nothing from now on."""
        self.left = None

    async def burn(self, conn: asyncpg.Connection) -> None:
        """Count one answered statement; after the last one, cut the connection instead of returning."""
        if self.left is None:
            return
        if self.left > 0:
            self.left -= 1
            return
        self.left = None
        self.struck = True
        if self.by_server:
            killer = await asyncpg.connect(self._dsn)
            try:
                await killer.fetchval("SELECT pg_terminate_backend($1, 5000)", conn.get_server_pid())
            finally:
                await killer.close()
        conn.terminate()
        raise ConnectionResetError("the connection was cut")


class CutPool(PostgresPool):
    """A `PostgresPool` whose connections a fuse can cut."""

    def __init__(self, dsn: str, **options: Any) -> None:
        super().__init__(dsn, **options)
        self.fuse = Fuse(dsn)

    async def _open(self) -> "asyncpg.Pool[asyncpg.Record]":
        with mock.patch.object(connection, "_PooledConnection", _make_cutting_class(self.fuse)):
            return await super()._open()


def _make_cutting_class(fuse: Fuse) -> type[asyncpg.Connection]:
    def count_calls(name: str) -> Any:
        statement = getattr(connection._PooledConnection, name)

        async def count(self: asyncpg.Connection, *args: Any, **named: Any) -> Any:
            answer = await statement(self, *args, **named)
            await fuse.burn(self)
            return answer

        return count

    statements = ("execute", "fetch", "fetchval", "fetchrow", "copy_records_to_table")
    return type("CuttingConnection", (connection._PooledConnection,), {name: count_calls(name) for name in statements})
