"""The supervisor replaces a worker that dies, and ends with a worker that was asked to stop."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from orchestration.worker.supervisor import FIRST_DELAY_SECONDS, LAST_ERROR_BYTES

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(__file__).with_name("supervised_program.py")
SECONDS = 20.0
LAUNCHER = "import subprocess, sys, time; subprocess.Popen(sys.argv[1:]); time.sleep(600)"


class Supervised:
    """A supervisor in a separate process, whose workers follow a plan of `supervised_program`."""

    def __init__(self, folder: Path, plan: tuple[str, ...], *, launched: bool) -> None:
        self.folder = folder
        self._log = folder / "log"
        launcher = [sys.executable, "-c", LAUNCHER] if launched else []
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*launcher, sys.executable, str(PROGRAM), str(folder), *plan],
                env={**os.environ, "PYTHONPATH": str(ROOT), "FOLLOW_PARENT": "1" if launched else ""},
                cwd=ROOT,
                stderr=log,
            )

    def starts(self) -> list[list[str]]:
        """Return process id, time of start and fork server of each worker."""
        path = self.folder / "starts"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def exits(self) -> list[str]:
        """Return the log's sentences on the ends of workers."""
        return [line for line in self._log.read_text().splitlines() if line.startswith("The worker ")]

    def delays(self) -> list[float]:
        """Return the seconds until the next start that the log announces at each end."""
        announced = [re.search(r"The next one starts (?:in ([\d.]+) s|now)", line) for line in self.exits()]
        return [float(match[1] or 0) for match in announced if match]

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition; AssertionError with the log if it stays false."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not in {SECONDS:.0f} s\n{self._log.read_text()}"
            time.sleep(0.01)

    def wait(self) -> int:
        """Return the supervisor's exit code."""
        return self.process.wait(SECONDS)

    def exists(self, name: str) -> bool:
        return (self.folder / name).exists()

    def close(self) -> None:
        """Kill the processes of the program that are left."""
        for process in psutil.process_iter(["cmdline"]):
            if str(self.folder) in (process.info["cmdline"] or []):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self.process.wait()


Begin = Callable[..., Supervised]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    started: list[Supervised] = []

    def begin(*plan: str, launched: bool = False) -> Supervised:
        started.append(Supervised(tmp_path, plan, launched=launched))
        return started[-1]

    yield begin
    for supervised in started:
        supervised.close()


def test_dead_worker_is_replaced_until_a_worker_ends_in_order(begin: Begin) -> None:
    supervised = begin("live:5", "live:5", "done")
    assert supervised.wait() == 0
    assert len(supervised.starts()) == 3
    assert [("was killed by SIGKILL" in line) for line in supervised.exits()] == [True, True]
    assert supervised.delays() == [0, 0], "a worker that lived is replaced at once"


def test_failing_start_is_repeated_with_backoff_that_a_longer_life_ends(begin: Begin) -> None:
    supervised = begin("fail:one", "fail:two", "fail:three", "live:5", "fail:four", "done")
    assert supervised.wait() == 0
    assert supervised.delays() == [FIRST_DELAY_SECONDS * factor for factor in (1, 2, 4, 0, 1)]
    starts = [float(start) for _, start, _ in supervised.starts()]
    waited = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert all(seconds >= delay for seconds, delay in zip(waited, supervised.delays(), strict=True)), waited


def test_log_gives_the_reason_of_each_end_and_of_no_earlier_one(begin: Begin) -> None:
    long_reason = "x" * (2 * LAST_ERROR_BYTES)
    supervised = begin("fail:Port 1 is taken.", "live:5", f"fail:{long_reason}", "done")
    assert supervised.wait() == 0
    first, second, third = supervised.exits()
    assert "ended with exit code 3" in first
    assert ": Port 1 is taken. The next one" in first
    assert "Port 1" not in second
    assert "ended with exit code 3" in third
    assert f": {long_reason[:LAST_ERROR_BYTES]}. The next one" in third


def test_stop_request_is_passed_to_the_worker_and_awaited(begin: Begin) -> None:
    supervised = begin("wait")
    supervised.until(lambda: supervised.exists("ready"), "the worker is ready")
    supervised.process.send_signal(signal.SIGTERM)
    assert supervised.wait() == 0
    assert supervised.exists("stopped"), "the worker was asked, and the supervisor has waited for its end"
    assert len(supervised.starts()) == 1


def test_worker_that_dies_while_it_is_asked_to_stop_is_not_replaced(begin: Begin) -> None:
    supervised = begin("stubborn")
    supervised.until(lambda: supervised.exists("ready"), "the worker is ready")
    supervised.process.send_signal(signal.SIGTERM)
    supervised.until(lambda: supervised.exists("stopped"), "the worker is asked to stop")
    os.kill(int(supervised.starts()[0][0]), signal.SIGKILL)
    assert supervised.wait() == 0
    assert len(supervised.starts()) == 1
    assert supervised.exits() == [], "no next start is announced"


def test_stop_request_during_backoff_starts_no_worker(begin: Begin) -> None:
    supervised = begin(*["fail:it"] * 1000)
    supervised.until(lambda: any(delay > 1 for delay in supervised.delays()), "the supervisor waits longer")
    (supervised.folder / "frozen").touch()  # the time until the next start never passes
    supervised.process.send_signal(signal.SIGTERM)
    assert supervised.wait() == 0
    assert len(supervised.starts()) == len(supervised.exits())


def test_supervisor_stops_its_worker_when_its_parent_is_gone(begin: Begin) -> None:
    supervised = begin("wait", launched=True)
    supervised.until(lambda: supervised.exists("ready"), "the worker is ready")
    worker = psutil.Process(int(supervised.starts()[0][0]))
    supervisor = worker.parent()
    assert supervisor
    supervised.process.kill()
    supervised.process.wait()
    supervised.until(lambda: supervised.exists("stopped"), "the worker is asked to stop")
    supervised.until(lambda: not supervisor.is_running(), "the supervisor has ended")


def test_dead_zygote_is_replaced_before_the_next_worker(begin: Begin) -> None:
    supervised = begin("lose-zygote", "done")
    assert supervised.wait() == 0
    assert [alive for _, _, alive in supervised.starts()] == ["True", "True"]
