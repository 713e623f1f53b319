"""Workers as processes of their own, killed and watched by the chaos tests."""

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil

from orchestration.settings import Settings
from orchestration.worker.slot import live_workers

ROOT = Path(__file__).resolve().parents[2]
ARMED = Path(__file__).with_name("armed_worker.py")
# Of all names one like this goes on to the processes that read documents, which get little of the environment.
MARK = "LC_PERDURE_TEST_WORKER"
KILL_SECONDS = 120.0
ORPHAN_SECONDS = 10.0


class ChaosWorker:
    """`worker.py`, or an armed one; every process that it starts is known by a mark in its environment."""

    def __init__(self, settings: Settings, *arguments: str, script: Path = ROOT / "worker.py") -> None:
        self.mark = uuid.uuid4().hex
        self._data_dir = settings.data_dir
        self.log = settings.data_dir / f"worker-{self.mark[:8]}.log"
        self.marker = settings.data_dir / f"struck-{self.mark[:8]}"
        if script == ARMED:
            arguments = (arguments[0], str(self.marker), *arguments[1:])
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(script), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, **settings.environment(), "PYTHONPATH": str(ROOT), MARK: self.mark},
            )

    @classmethod
    def armed(cls, settings: Settings, point: str, nth: int = 1, *, stop: bool = False) -> "ChaosWorker":
        return cls(settings, point, "--nth", str(nth), *(["--stop"] if stop else []), script=ARMED)

    def wait_until_struck(self) -> None:
        """Until it was killed at its fail-point: by SIGKILL, and with the marker that says so."""
        code = self.process.wait(KILL_SECONDS)
        assert code == -signal.SIGKILL, f"it ended with {code}:\n{self.log.read_text()}"
        assert self.marker.read_text() == str(self.process.pid)

    def wait_until_stopped(self) -> None:
        """Until it has stopped itself at its fail-point, by SIGSTOP."""
        process, deadline = psutil.Process(self.process.pid), time.monotonic() + KILL_SECONDS
        while not self.marker.exists() or process.status() != psutil.STATUS_STOPPED:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def go_on(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def wait_until_alive(self) -> None:
        """Until it has taken its slot, by which clients know that there is a worker."""
        deadline = time.monotonic() + KILL_SECONDS
        while self.process.pid not in live_workers(self._data_dir).values():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL; it must be alive until then."""
        assert self.process.poll() is None, self.log.read_text()
        self.process.kill()
        assert self.process.wait() == -signal.SIGKILL

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def close(self) -> None:
        """Whatever became of it: leave nothing."""
        if self.process.poll() is None:
            self.go_on()  # a stopped process hears nothing else
            self.stop()
        for orphan in self.family():
            orphan.kill()

    def family(self) -> list[psutil.Process]:
        """Every process that this worker started and that is alive, itself included."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == self.mark:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def assert_no_orphans(self) -> None:
        """Assert that none of its children outlives it for long."""
        deadline = time.monotonic() + ORPHAN_SECONDS
        while left := self.family():
            assert time.monotonic() < deadline, [" ".join(process.cmdline()) for process in left]
            time.sleep(0.05)
