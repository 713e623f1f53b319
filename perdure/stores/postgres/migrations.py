"""Bring a database to the present form: numbered, forward-only `.sql` files, each applied once.

Run as a program, this module applies them: `python -m perdure.stores.postgres.migrations DSN`.
"""

import asyncio
import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from perdure.errors import InvalidConfiguration, PerdureError
from perdure.stores.postgres.connection import Connection
from perdure.stores.postgres.faults import said, translated

MIGRATIONS_DIR = Path(__file__).resolve().parents[3] / "migrations"
_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")
_CONNECT_SECONDS = 10.0
_CLOSE_SECONDS = 5.0
_LOCK = 7234701  # any number, so long as it never changes: whoever migrates this database holds it

_BOOKKEEPING = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    name        text PRIMARY KEY,
    checksum    text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT now()
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its name, and its text with plain line ends."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations(folder: Path = MIGRATIONS_DIR) -> list[Migration]:
    """All migrations in the order in which they are applied.

    Raises:
        InvalidConfiguration: there are none, or two of the same number.
    """
    found = [
        Migration(path.name, path.read_text("utf-8")) for path in folder.glob("*.sql") if _NAME.fullmatch(path.name)
    ]
    found.sort(key=lambda one: one.name)
    numbers = [one.name[:4] for one in found]
    if not found:
        raise InvalidConfiguration(f"There are no migrations in {folder}.")
    if len(set(numbers)) < len(numbers):
        raise InvalidConfiguration(f"Two migrations in {folder} have the same number.")
    return found


async def apply_migrations(database: str | Connection, folder: Path = MIGRATIONS_DIR) -> list[str]:
    """Apply what is missing and return the names of what was applied; several may call it at once.

    Args:
        database: its address, or a connection outside any transaction.
        folder: where the migrations are.

    Raises:
        DependencyUnavailable: the server cannot be used now.
        InvalidConfiguration: what was applied to this database is not what the files say.
    """
    try:
        if not isinstance(database, str):
            return await _apply(database, migrations(folder))
        conn = await asyncpg.connect(database, timeout=_CONNECT_SECONDS)
        try:
            return await _apply(conn, migrations(folder))
        finally:
            await _close(conn)
    except Exception as error:
        fault = translated(error)
        if fault is None:
            raise
        raise fault from error


async def _apply(conn: Connection, wanted: list[Migration]) -> list[str]:
    # A session lock, not a transaction's: it is held over all of the transactions below.
    await conn.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        await conn.execute("SET search_path TO public")
        await conn.execute(_BOOKKEEPING)
        applied = {row["name"]: row["checksum"] for row in await conn.fetch("SELECT * FROM schema_migrations")}
        missing = _missing(wanted, applied)
        for migration in missing:
            async with conn.transaction():
                await _carry_out(conn, migration)
                await conn.execute(
                    "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)", migration.name, migration.checksum
                )
        return [migration.name for migration in missing]
    finally:
        if not conn.is_closed():
            await conn.execute("RESET search_path")
            await conn.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def _carry_out(conn: Connection, migration: Migration) -> None:
    try:
        await conn.execute(migration.sql)
    except (asyncpg.SyntaxOrAccessError, asyncpg.IntegrityConstraintViolationError) as error:
        if isinstance(error, asyncpg.InsufficientPrivilegeError):
            raise  # may be granted any moment
        raise InvalidConfiguration(
            f"The migration {migration.name} does not fit what the database holds ({said(error)}); if it was restored "
            "from the dump of an older release, see docs/backups.md."
        ) from error


async def _close(conn: asyncpg.Connection) -> None:
    try:
        await conn.close(timeout=_CLOSE_SECONDS)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        conn.terminate()


def _missing(wanted: list[Migration], applied: dict[str, str]) -> list[Migration]:
    names = {migration.name for migration in wanted}
    if unknown := sorted(applied.keys() - names):
        raise InvalidConfiguration(
            f"The database has the migration {unknown[-1]}, which this version of Perdure does not know; "
            "use the version that made it, or a newer one."
        )
    for migration in wanted:
        if migration.name in applied and applied[migration.name] != migration.checksum:
            raise InvalidConfiguration(
                f"The migration {migration.name} was changed after it had been applied to this database; "
                "restore it and write a new one."
            )
    missing = [migration for migration in wanted if migration.name not in applied]
    if missing and applied and missing[0].name < max(applied):
        raise InvalidConfiguration(
            f"The migration {missing[0].name} was added before {max(applied)}, which this database has already; "
            "give it a later number."
        )
    return missing


def main() -> int:
    """Apply the migrations to the database of the address given."""
    if len(sys.argv) != 2:  # noqa: PLR2004  the program and one argument
        sys.stderr.write("usage: python -m perdure.stores.postgres.migrations DSN\n")
        return 2
    try:
        for name in asyncio.run(apply_migrations(sys.argv[1])):
            sys.stderr.write(f"applied {name}\n")
    except PerdureError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
