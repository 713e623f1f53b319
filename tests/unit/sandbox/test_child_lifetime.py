"""The pool's processes end with their parent, and ignore stop signals."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from perdure.sandbox.limits import ProcessLimits
from perdure.sandbox.pool import IsolatedPool
from tests.unit.sandbox.hostile_parsers import misbehave
from tests.unit.sandbox.jobs import text_job

ROOT = Path(__file__).resolve().parents[3]
ORPHAN = "from perdure.sandbox.child_lifetime import die_with_parent; die_with_parent({parent}); print('alive')"
JOB = text_job(partial(misbehave, 60.0))


def test_process_whose_parent_has_ended_already_exits() -> None:
    for parent, output in (("-1", ""), ("__import__('os').getppid()", "alive\n")):
        command = [sys.executable, "-c", ORPHAN.format(parent=parent)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.stdout, done.returncode) == (output, 0 if output else 1)


async def test_processes_of_a_pool_leave_stop_signals_to_the_worker() -> None:
    pool = IsolatedPool(1, ProcessLimits(attempts=1), JOB)
    try:
        child = int((await pool.process("file:///x", "pid", "file:///")).document)
        assert pool._server
        zygote = pool._server.pid
        for pid in (child, zygote):
            for number in (signal.SIGINT, signal.SIGTERM):
                os.kill(pid, number)
        outcome = await pool.process("file:///x", "pid", "file:///")
        assert (int(outcome.document), outcome.attempts) == (child, 1)
        assert pool._server.pid == zygote
        assert pool._server.is_alive()
    finally:
        await pool.aclose()


async def test_zygote_imports_nothing_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ctypes.py", "socket.py", "pickle.py"):
        (tmp_path / name).write_text("raise SystemExit('taken over')")
    monkeypatch.chdir(tmp_path)
    pool = IsolatedPool(1, ProcessLimits(attempts=1), JOB)
    try:
        assert (await pool.process("file:///x", "pid", "file:///")).attempts == 1
    finally:
        await pool.aclose()
