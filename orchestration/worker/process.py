"""A worker as a process of its own, started and stopped by whoever follows a run."""

import asyncio
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Self

from orchestration.settings import Settings
from orchestration.worker.slot import live_workers
from perdure.errors import RefusedCommand

WORKER = Path(__file__).resolve().parents[2] / "worker.py"
STOP_SECONDS = 30.0
START_SECONDS = 10.0
START_POLL_SECONDS = 0.05


class WorkerProcess:
    """One `worker.py`, which stops by itself, gracefully, when the process that started it is gone.

    A `detached` one goes on without us, so it has a supervisor to bring it back.
    """

    def __init__(self, settings: Settings, script: Path = WORKER, *, detached: bool = False) -> None:
        log_dir = settings.data_dir / "logs"
        log_dir.mkdir(parents=True, exist_ok=True)
        self.log = log_dir / "worker.log"
        arguments = ["--supervise"] if detached else ["--exit-with-parent", str(os.getpid())]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(script), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **settings.environment()},
                cwd=WORKER.parent,
                start_new_session=True,  # Ctrl-C in the terminal is the starter's to handle
            )

    @classmethod
    async def start(cls, settings: Settings, *, detached: bool = False) -> Self:
        """Start one and return when it has taken its slot.

        Raises:
            RefusedCommand: it ended at once; its log says why.
        """
        started = await asyncio.to_thread(partial(cls, settings, detached=detached))
        for _ in range(int(START_SECONDS / START_POLL_SECONDS)):
            alive = live_workers(settings.data_dir).values()
            if alive if detached else started.pid in alive:
                break
            if not started.alive:
                raise RefusedCommand(f"The worker did not start; see {started.log}.")
            await asyncio.sleep(START_POLL_SECONDS)
        return started

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL: no time to say goodbye."""
        self._process.kill()
        self._process.wait()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL if that takes too long."""
        if not self.alive:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
