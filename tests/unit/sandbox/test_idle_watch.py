"""A process is idle when it sleeps and its CPU time does not advance, and only then."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest

from perdure.errors import ParserTimedOut
from perdure.sandbox import idle_watch
from perdure.sandbox.idle_watch import stop_when_idle

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whether a process is idle")
IDLE_SECONDS = 0.2
LOOKS = 12
"""Three times the looks after which an idle process is stopped."""
SLEEP = "import time; time.sleep(3600)"
WORK = "while True: pass"
# Each line of input asks for three ticks of CPU time, nearly all of it outside of the kernel.
WORK_ON_REQUEST = """
import sys, time
for line in sys.stdin:
    end = time.process_time() + 0.03
    while time.process_time() < end: sum(range(50_000))
    print(flush=True)
"""


@contextmanager
def running(program: str) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a Python program, and give its process when it has started."""
    command = [sys.executable, "-c", f"print(flush=True)\n{program}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


async def watch_for_many_looks(
    monkeypatch: pytest.MonkeyPatch, pid: int, prepare: Callable[[], None] = lambda: None
) -> None:
    """Return after many checks; raise `ParserTimedOut` if the process counts as idle before.

    Args:
        monkeypatch: the monkeypatch of the test.
        pid: id of the process.
        prepare: called before each look.
    """
    looks = 0
    enough = asyncio.Event()
    look = idle_watch._read_cpu_ticks

    def count_look(pid: int) -> int | None:
        nonlocal looks
        prepare()
        looks += 1
        if looks == LOOKS:
            enough.set()
        return look(pid)

    monkeypatch.setattr(idle_watch, "_read_cpu_ticks", count_look)
    async with stop_when_idle(pid, IDLE_SECONDS):
        await enough.wait()


async def test_sleeping_process_is_idle() -> None:
    with running(SLEEP) as process, pytest.raises(ParserTimedOut, match=r"slept for 0\.2 seconds, doing nothing"):
        async with stop_when_idle(process.pid, IDLE_SECONDS):
            await asyncio.sleep(60)


async def test_working_process_is_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(WORK) as process:
        await watch_for_many_looks(monkeypatch, process.pid)


async def test_process_that_worked_since_the_last_look_is_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(WORK_ON_REQUEST) as process:

        def have_it_work_and_sleep() -> None:
            assert process.stdin
            assert process.stdout
            process.stdin.write(b"\n")
            process.stdin.flush()
            process.stdout.readline()
            while psutil.Process(process.pid).status() != psutil.STATUS_SLEEPING:
                time.sleep(0.001)

        await watch_for_many_looks(monkeypatch, process.pid, have_it_work_and_sleep)


async def test_process_stopped_by_a_signal_is_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(SLEEP) as process:
        os.kill(process.pid, signal.SIGSTOP)
        await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        await watch_for_many_looks(monkeypatch, process.pid)


async def test_ended_process_is_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    with running("") as process:
        await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        await watch_for_many_looks(monkeypatch, process.pid)
