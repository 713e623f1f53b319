"""Servers for tests that kill them, delete their data, or restore a backup."""

import asyncio
import os
import signal
import subprocess
import uuid
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from orchestration.embedded.postgres import DATABASE, EmbeddedPostgres, installation
from orchestration.embedded.record import ServersRecord
from orchestration.embedded.stack import EmbeddedStack
from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings


class OwnServers:
    """A Temporal and a Postgres server, which keep their addresses after every loss of data."""

    def __init__(self, folder: Path) -> None:
        self.stack = EmbeddedStack(folder, default_ports=False, say=lambda _: None)
        self.postgres = EmbeddedPostgres(folder)

    async def up(self) -> ServersRecord:
        """Start the servers that do not run."""
        return await self.stack.up()

    async def down(self) -> None:
        """Stop both servers."""
        await self.stack.down()

    def kill_temporal(self) -> None:
        """Kill the Temporal server by SIGKILL."""
        record = self.stack.status().temporal
        assert record
        assert record.process
        os.kill(record.process.pid, signal.SIGKILL)

    async def lose_temporal(self) -> None:
        """Kill the Temporal server, delete its data, and start it again."""
        self.kill_temporal()
        await asyncio.sleep(0.2)
        files = list(self.stack.data_dir.glob("temporal.db*"))
        assert files
        for file in files:
            file.unlink()
        await self.up()

    def kill_postgres(self) -> None:
        """Kill the main process of Postgres by SIGKILL, so that it cannot flush its memory."""
        process = self.postgres.running()
        assert process
        os.kill(process.pid, signal.SIGKILL)

    def lose_database(self, settings: Settings) -> None:
        """Drop the database with its open connections, and create it again without runs."""
        name = urlsplit(settings.database_url).path[1:]
        self.postgres.drop_database(name)
        self.postgres.create_database(name, template=DATABASE)

    def settings(self, folder: Path) -> Settings:
        """Return settings with a new database and an empty data folder; the servers must be up."""
        temporal = self.stack.status().temporal
        assert temporal
        folder.mkdir()
        name = f"lost_{uuid.uuid4().hex[:12]}"
        self.postgres.create_database(name, template=DATABASE)
        return Settings(
            data_dir=folder,
            database_url=self.postgres.dsn(name),
            temporal=TemporalSettings(temporal.address),
            task_queue=f"lost-{uuid.uuid4().hex[:12]}",
            checkpoint_dir=folder / "checkpoints",
            pool_workers=2,
        )


def back_up(settings: Settings, dump: Path) -> None:
    """Dump the database as docs/backups.md describes; a run may be in progress."""
    _client_program("pg_dump", "--format=custom", f"--file={dump}", f"--dbname={settings.database_url}")


def set_back(settings: Settings, dump: Path) -> None:
    """Restore a dump into a database in use, as docs/backups.md describes."""
    restore = ["--clean", "--if-exists", "--no-owner", "--single-transaction"]
    _client_program("pg_restore", *restore, f"--dbname={settings.database_url}", str(dump))


def commits_in(dump: Path, workflow_id: str) -> dict[str, datetime]:
    """Return the time of commit of each committed document of a run in the dump, by name."""
    lines = iter(_client_program("pg_restore", "--data-only", "--table=documents", "--file=-", str(dump)).splitlines())
    copied = next(line for line in lines if line.startswith("COPY "))
    columns = copied[copied.index("(") + 1 : copied.index(")")].split(", ")
    commits: dict[str, datetime] = {}
    for line in lines:
        if line == "\\.":
            return commits
        row = dict(zip(columns, line.split("\t"), strict=True))
        if row["workflow_id"] == workflow_id and row["committed_at"] != "\\N":
            commits[row["name"]] = datetime.fromisoformat(row["committed_at"])
    raise AssertionError("the dump of the table documents has no end marker")


def _client_program(name: str, *arguments: str) -> str:
    """Run a client program of the Postgres installation, and return its standard output."""
    done = subprocess.run([str(installation() / "bin" / name), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
