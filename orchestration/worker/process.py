"""A worker as a separate process, which the process that follows a run starts and stops."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Self

from orchestration.settings import Settings
from orchestration.worker.slot import live_workers
from perdure.errors import RefusedCommand

PROGRAM = "orchestration.program.launch"
"""Name of the module that the process runs. This room cannot import the module, which is in a higher room."""
ROOT = Path(__file__).resolve().parents[2]
"""Folder from which the module can be imported: the checkout, or the folder of the installed packages."""
STOP_SECONDS = 30.0
START_SECONDS = 60.0
"""Longest wait for the slot of the worker. A worker needed more than 10 s on 2 cores with a load of 20."""
START_POLL_SECONDS = 0.05
_PATHS = ("TEMPORAL_CONFIG_FILE", "TESSDATA_PREFIX")


class WorkerProcess:
    """One worker, which stops gracefully when the process that started it has ended.

    Args:
        settings: settings of the worker.
        detached: whether the worker continues when the process that started it has ended. A supervisor then starts a
            new worker whenever the worker dies.
    """

    def __init__(self, settings: Settings, *, detached: bool = False) -> None:
        log_dir = settings.data_dir / "logs"
        log_dir.mkdir(parents=True, exist_ok=True)
        self.log = log_dir / "worker.log"
        arguments = ["--supervise"] if detached else ["--exit-with-parent", str(os.getpid())]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", PROGRAM, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**_with_absolute_paths(os.environ), **settings.environment()},
                cwd=ROOT,  # `-m` searches the current folder for the module first
                start_new_session=True,  # Ctrl-C in the terminal must reach only the process that follows the run
            )

    @classmethod
    async def start(cls, settings: Settings, *, detached: bool = False) -> Self:
        """Start a worker and return when it has taken its slot.

        Args:
            settings: settings of the worker.
            detached: as for the class.

        Raises:
            RefusedCommand: the worker ended at once, or took no slot within `START_SECONDS`; its log gives the reason.
                A worker that took no slot is killed.
        """
        started = await asyncio.to_thread(partial(cls, settings, detached=detached))
        for _ in range(int(START_SECONDS / START_POLL_SECONDS)):
            alive = live_workers(settings.data_dir).values()
            if alive if detached else started.pid in alive:
                return started
            if not started.alive:
                raise RefusedCommand(f"The worker did not start; see {started.log}.")
            await asyncio.sleep(START_POLL_SECONDS)
        started.kill()
        raise RefusedCommand(f"The worker was not ready after {START_SECONDS:.0f} s; see {started.log}.")

    @property
    def pid(self) -> int:
        """Return the process id of the worker, or of its supervisor if the worker is detached."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Return whether the process is alive."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Send SIGKILL, and wait until the process has ended."""
        self._process.kill()
        self._process.wait()

    async def stop(self) -> None:
        """Send SIGTERM, and SIGKILL if the process does not end in time."""
        if not self.alive:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


def _with_absolute_paths(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with absolute paths, because the worker runs in another folder."""
    return {
        name: str(Path(value).absolute()) if value and _is_path(name) else value for name, value in environment.items()
    }


def _is_path(name: str) -> bool:
    return name in _PATHS or (name.startswith("TEMPORAL_TLS_") and name.endswith("_PATH"))
