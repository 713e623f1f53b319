"""Workers as separate processes, which the chaos tests kill and watch."""

import os
import re
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
# The sandbox passes on few environment variables to its children: among others, those with names like LC_ALL.
MARK = "LC_PERDURE_TEST_WORKER"
KILL_SECONDS = 120.0
ORPHAN_SECONDS = 60.0


class ChaosWorker:
    """A process of `worker.py` or `armed_worker.py`, and the processes that it starts.

    A mark in the environment identifies these processes.
    """

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
    def gated(cls, settings: Settings) -> "ChaosWorker":
        """Start a worker whose children process only documents that the folder's `Gate` admits."""
        return cls(settings, "gate", script=ARMED)

    @classmethod
    def armed(cls, settings: Settings, point: str, nth: int = 1, *, stop: bool = False) -> "ChaosWorker":
        """Start a worker that kills or stops itself at a fail-point.

        Args:
            settings: settings of the worker.
            point: the name of the fail-point, from `armed_worker.POINTS`.
            nth: the pass of the fail-point at which the worker strikes, counted from 1.
            stop: whether the worker stops itself by SIGSTOP instead of killing itself by SIGKILL.
        """
        return cls(settings, point, "--nth", str(nth), *(["--stop"] if stop else []), script=ARMED)

    def wait_until_struck(self) -> None:
        """Wait until SIGKILL ended the worker, and assert that its fail-point wrote the marker."""
        code = self.process.wait(KILL_SECONDS)
        assert code == -signal.SIGKILL, f"the worker ended with exit code {code}:\n{self.log.read_text()}"
        assert self.marker.read_text() == str(self.process.pid)

    def wait_until_stopped(self) -> None:
        """Wait until the worker has stopped itself at its fail-point by SIGSTOP."""
        process = psutil.Process(self.process.pid)
        deadline = time.monotonic() + KILL_SECONDS
        while not self.marker.exists() or process.status() != psutil.STATUS_STOPPED:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def go_on(self) -> None:
        """Continue a stopped worker by SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def wait_until_interrupted_activities_ended(self) -> None:
        """Wait until a continued worker has ended the activities in which its fail-point stopped it."""
        deadline = time.monotonic() + KILL_SECONDS
        while not self.marker.with_suffix(".continued").exists():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def wait_until_alive(self) -> None:
        """Wait until the worker holds its slot; clients find live workers by their slots."""
        deadline = time.monotonic() + KILL_SECONDS
        while self.process.pid not in live_workers(self._data_dir).values():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill the worker by SIGKILL, and assert that it was alive before."""
        assert self.process.poll() is None, self.log.read_text()
        self.process.kill()
        assert self.process.wait() == -signal.SIGKILL

    def begin_to_stop(self) -> None:
        """Send SIGTERM to the worker, and wait until it takes no further activity."""
        self.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + KILL_SECONDS
        while not re.search(r"worker .+ stops", self.log.read_text()):
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def stop(self) -> int:
        """Stop the worker by SIGTERM, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(KILL_SECONDS)

    def close(self) -> None:
        """Stop the worker and kill its remaining processes, in any state."""
        if self.process.poll() is None:
            self.go_on()  # a stopped process does not handle SIGTERM
            self.stop()
        for orphan in self.family():
            orphan.kill()

    def family(self) -> list[psutil.Process]:
        """Return the live processes that carry this worker's mark, the worker included."""
        marked = []
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == self.mark:
                    marked.append(process)
            except (psutil.Error, OSError):
                continue
        return marked

    def assert_no_orphans(self) -> None:
        """Assert that no process of this worker is alive after at most `ORPHAN_SECONDS`."""
        deadline = time.monotonic() + ORPHAN_SECONDS
        while orphans := self.family():
            assert time.monotonic() < deadline, [" ".join(process.cmdline()) for process in orphans]
            time.sleep(0.05)
