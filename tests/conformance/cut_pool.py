"""A pool whose connections really break: after the k-th statement, by closing the socket or by the server itself."""

from typing import Any
from unittest import mock

import asyncpg

from perdure.stores.postgres import connection
from perdure.stores.postgres.connection import PostgresPool

Statement = Any


class Fuse:
    """Burns down by one with every statement that has been answered, BEGIN and COMMIT among them."""

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
        """Called after each answer; nobody gets to see the last one."""
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
    """`PostgresPool` whose connections hang on a fuse."""

    def __init__(self, dsn: str, **options: Any) -> None:
        super().__init__(dsn, **options)
        self.fuse = Fuse(dsn)

    async def _open(self) -> "asyncpg.Pool[asyncpg.Record]":
        with mock.patch.object(connection, "_PooledConnection", _cutting(self.fuse)):
            return await super()._open()


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
