"""Apply the numbered `.sql` files of the package `migrations`, each of them once.

`python -m perdure.stores.postgres.migrations DSN` applies them to the database of this address.

A database records the checksum of every applied file, comments included. The program refuses a database whose record
differs from the file, so a released file stays as it is, byte for byte.
"""

import asyncio
import hashlib
import re
import sys
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

import asyncpg

from perdure.errors import InvalidConfiguration, PerdureError
from perdure.stores.postgres.connection import Connection
from perdure.stores.postgres.faults import convert_to_perdure_error, describe_error

MIGRATIONS: Traversable = files("migrations")
"""The folder of the migrations, in a checkout or in an installed program."""
_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")
_CONNECT_SECONDS = 10.0
_CLOSE_SECONDS = 5.0
_LOCK = 7234701
"""The advisory lock of a process that applies migrations. The number must stay the same in all versions of Perdure, or
two versions could apply migrations at once."""

_BOOKKEEPING = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    name        text PRIMARY KEY,
    checksum    text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT now()
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration: the name of its file, and the text of the file with LF as line ends."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """The SHA-256 (hexadecimal) of the text, as the database records it."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def load_migrations(folder: Traversable = MIGRATIONS) -> list[Migration]:
    """Return all migrations of a folder, in the order in which they are applied.

    Raises:
        InvalidConfiguration: the folder has no migrations, or two migrations have the same number.
    """
    loaded = [Migration(file.name, file.read_text("utf-8")) for file in folder.iterdir() if _NAME.fullmatch(file.name)]
    loaded.sort(key=lambda migration: migration.name)
    numbers = [migration.name[:4] for migration in loaded]
    if not loaded:
        raise InvalidConfiguration(f"There are no migrations in {folder}.")
    if len(set(numbers)) < len(numbers):
        raise InvalidConfiguration(f"Two migrations in {folder} have the same number.")
    return loaded


async def apply_migrations(database: str | Connection, folder: Traversable = MIGRATIONS) -> list[str]:
    """Apply the migrations that a database lacks, and return their names.

    Several processes may call this function at once: an advisory lock lets one at a time apply migrations.

    Args:
        database: an address, or a connection outside any transaction.
        folder: the folder of the migrations.

    Raises:
        DependencyUnavailable: the server cannot be used now.
        InvalidConfiguration: the migrations that were applied to this database differ from the files.
    """
    try:
        if not isinstance(database, str):
            return await _apply(database, load_migrations(folder))
        conn = await asyncpg.connect(database, timeout=_CONNECT_SECONDS)
        try:
            return await _apply(conn, load_migrations(folder))
        finally:
            await _close(conn)
    except Exception as error:
        fault = convert_to_perdure_error(error)
        if fault is None:
            raise
        raise fault from error


async def _apply(conn: Connection, wanted: list[Migration]) -> list[str]:
    # The lock belongs to the session, because it must be held over all of the transactions below.
    await conn.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        await conn.execute("SET search_path TO public")
        await conn.execute(_BOOKKEEPING)
        applied = {
            row["name"]: row["checksum"] for row in await conn.fetch("SELECT name, checksum FROM schema_migrations")
        }
        missing = _find_missing(wanted, applied)
        for migration in missing:
            async with conn.transaction():
                await _execute(conn, migration)
                await conn.execute(
                    "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)", migration.name, migration.checksum
                )
        return [migration.name for migration in missing]
    finally:
        if not conn.is_closed():
            await conn.execute("RESET search_path")
            await conn.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def _execute(conn: Connection, migration: Migration) -> None:
    try:
        await conn.execute(migration.sql)
    except (asyncpg.SyntaxOrAccessError, asyncpg.IntegrityConstraintViolationError) as error:
        if isinstance(error, asyncpg.InsufficientPrivilegeError):
            raise  # the privilege may be granted later, so a later attempt may succeed
        raise InvalidConfiguration(
            f"The migration {migration.name} does not fit what the database holds ({describe_error(error)}); if the "
            "database was restored from the dump of an older release, see docs/backups.md."
        ) from error


async def _close(conn: asyncpg.Connection) -> None:
    try:
        await conn.close(timeout=_CLOSE_SECONDS)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        conn.terminate()


def _find_missing(wanted: list[Migration], applied: dict[str, str]) -> list[Migration]:
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
                "restore its file, and write the change as a new migration."
            )
    missing = [migration for migration in wanted if migration.name not in applied]
    if missing and applied and missing[0].name < max(applied):
        raise InvalidConfiguration(
            f"The migration {missing[0].name} was added before {max(applied)}, which this database has already; "
            "give it a later number."
        )
    return missing


def main() -> int:
    """Apply the migrations to the database of the address given, and return the exit code."""
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
