"""`servers.json` in a data folder: the addresses of its embedded servers.

Every command that uses the data folder reads the addresses from this file.
"""

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
    """The address of a Postgres server.

    `process` is None after a stop. The server gets the same port at its next start.
    """

    process: ProcessId | None
    port: int
    dsn: str = field(repr=False)

    @property
    def running(self) -> bool:
        """Return whether the recorded process still runs."""
        return self.process is not None and is_alive(self.process)


@dataclass(frozen=True)
class TemporalRecord:
    """The addresses of a Temporal server.

    `process` is None after a stop. The server gets the same ports at its next start.
    """

    process: ProcessId | None
    port: int
    ui_port: int

    @property
    def running(self) -> bool:
        """Return whether the recorded process still runs."""
        return self.process is not None and is_alive(self.process)

    @property
    def address(self) -> str:
        """`host:port` of the gRPC interface."""
        return f"{HOST}:{self.port}"

    @property
    def web_ui(self) -> str:
        """URL of the Web UI."""
        return f"http://{HOST}:{self.ui_port}"


@dataclass(frozen=True)
class ServersRecord:
    """The servers of a data folder; None for a server that was never started."""

    postgres: PostgresRecord | None = None
    temporal: TemporalRecord | None = None


def read_record(data_dir: Path) -> ServersRecord:
    """Return the stored record; for a missing or damaged file, a record without servers."""
    try:
        stored = json.loads((data_dir / FILE_NAME).read_bytes())
        postgres = stored["postgres"]
        temporal = stored["temporal"]
        return ServersRecord(
            PostgresRecord(**postgres | _process(postgres)) if postgres else None,
            TemporalRecord(**temporal | _process(temporal)) if temporal else None,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return ServersRecord()


def write_record(data_dir: Path, record: ServersRecord) -> None:
    """Replace the record in one step.

    Only the owner may read the file, because the file holds the database's password.
    """
    path = data_dir / FILE_NAME
    unfinished = path.with_suffix(".unfinished")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(record), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def running_postgres(data_dir: Path) -> PostgresRecord:
    """Return the folder's running Postgres.

    Raises:
        EmbeddedServersNotRunning: the server does not run.
    """
    server = read_record(data_dir).postgres
    if not server or not server.running:
        raise not_running(data_dir)
    return server


def running_temporal(data_dir: Path) -> TemporalRecord:
    """Return the folder's running Temporal server.

    Raises:
        EmbeddedServersNotRunning: the server does not run.
    """
    server = read_record(data_dir).temporal
    if not server or not server.running:
        raise not_running(data_dir)
    return server


def not_running(data_dir: Path) -> EmbeddedServersNotRunning:
    """Return the error for servers that do not run; its message names the start command."""
    shown = data_dir.relative_to(Path.cwd()) if data_dir.is_relative_to(Path.cwd()) else data_dir
    return EmbeddedServersNotRunning(
        f"The embedded servers of {shown}/ are not running; start them with: {command_line('up')}"
    )


def _process(stored: dict[str, Any]) -> dict[str, ProcessId | None]:
    return {"process": ProcessId(**stored["process"]) if stored["process"] else None}
