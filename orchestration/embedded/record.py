"""`servers.json` in a data folder: where its embedded servers are, for every command that uses the folder."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from orchestration.embedded.ports import HOST
from orchestration.embedded.process import ProcessId, is_alive
from orchestration.invocation import command_line
from perdure.errors import EmbeddedServersNotRunning

FILE_NAME = "servers.json"


@dataclass(frozen=True)
class PostgresRecord:
    """`process` is None when it was stopped; the port is kept for its return."""

    process: ProcessId | None
    port: int
    dsn: str = field(repr=False)

    @property
    def running(self) -> bool:
        return self.process is not None and is_alive(self.process)


@dataclass(frozen=True)
class TemporalRecord:
    """`process` is None when it was stopped; the ports are kept for its return."""

    process: ProcessId | None
    port: int
    ui_port: int

    @property
    def running(self) -> bool:
        return self.process is not None and is_alive(self.process)

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def web_ui(self) -> str:
        return f"http://{HOST}:{self.ui_port}"


@dataclass(frozen=True)
class ServersRecord:
    """What is known of a data folder's servers; None for one that was never started."""

    postgres: PostgresRecord | None = None
    temporal: TemporalRecord | None = None


def read_record(data_dir: Path) -> ServersRecord:
    """The record as it stands; an absent or damaged one says that nothing was ever started."""
    try:
        stored = json.loads((data_dir / FILE_NAME).read_bytes())
        postgres, temporal = stored["postgres"], stored["temporal"]
        return ServersRecord(
            PostgresRecord(**postgres | _process(postgres)) if postgres else None,
            TemporalRecord(**temporal | _process(temporal)) if temporal else None,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return ServersRecord()


def write_record(data_dir: Path, record: ServersRecord) -> None:
    """Replace the record in one step; only the owner may read it, for it holds the database's password."""
    path = data_dir / FILE_NAME
    unfinished = path.with_suffix(".unfinished")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(record), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def running_postgres(data_dir: Path) -> PostgresRecord:
    """The folder's running Postgres.

    Raises:
        EmbeddedServersNotRunning: it does not run.
    """
    found = read_record(data_dir).postgres
    if not found or not found.running:
        raise not_running(data_dir)
    return found


def running_temporal(data_dir: Path) -> TemporalRecord:
    """The folder's running Temporal server.

    Raises:
        EmbeddedServersNotRunning: it does not run.
    """
    found = read_record(data_dir).temporal
    if not found or not found.running:
        raise not_running(data_dir)
    return found


def not_running(data_dir: Path) -> EmbeddedServersNotRunning:
    """The error, with the way out of it."""
    shown = data_dir.relative_to(Path.cwd()) if data_dir.is_relative_to(Path.cwd()) else data_dir
    return EmbeddedServersNotRunning(
        f"The embedded servers of {shown}/ are not running; start them with: {command_line('up')}"
    )


def _process(stored: dict[str, Any]) -> dict[str, ProcessId | None]:
    return {"process": ProcessId(**stored["process"]) if stored["process"] else None}
