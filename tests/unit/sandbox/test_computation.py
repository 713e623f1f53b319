"""A computation ends with its worker, and its worker learns how it ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from perdure.errors import DependencyUnavailable
from perdure.sandbox.computation.parent import Subprocess

ROOT = Path(__file__).resolve().parents[3]
MODULE = "tests.unit.sandbox.computing"
OWNER = f"""
import asyncio
from perdure.sandbox.computation.parent import Subprocess

async def main():
    async with Subprocess("{MODULE}", "the computation") as process:
        await process.send("compute without end")
        print((await process.receive())[0][0], flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


def start() -> Subprocess:
    return Subprocess(MODULE, "the computation")


async def test_rows_come_back() -> None:
    rows = [(1, "text", 2.5, None), (2, "", 0.0, b"bytes")]
    async with start() as process:
        await process.send(rows)
        assert await process.receive() == rows


@pytest.mark.parametrize(
    ("request_name", "words"), [("crash", "ended by SIGSEGV"), ("fail", "exit code 1, saying: There is no memory left")]
)
async def test_end_of_a_computation_is_reported(request_name: str, words: str) -> None:
    async with start() as process:
        await process.send(request_name)
        with pytest.raises(DependencyUnavailable, match=words):
            await process.receive()


async def test_computation_ends_when_its_block_is_left() -> None:
    async with start() as process:
        await process.send("compute without end")
        pid = (await process.receive())[0][0]
    assert not psutil.pid_exists(pid)


def test_computation_ends_with_its_killed_worker() -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        computation = psutil.Process(int(owner.stdout.readline()))
        owner.kill()
    _, alive = psutil.wait_procs([computation], timeout=20)
    left = [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    for process in left:
        process.kill()
    assert left == []


async def test_computation_leaves_stop_signals_to_its_worker() -> None:
    async with start() as process:
        await process.send([(1,)])
        assert await process.receive() == [(1,)]
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(process._process.pid, number)
        await process.send([(2,)])
        assert await process.receive() == [(2,)]


@pytest.mark.skipif(sys.platform != "linux", reason="the score is Linux's")
async def test_kernel_ends_a_computation_before_its_worker() -> None:
    async with start() as process:
        await process.send("score")
        assert int((await process.receive())[0][0]) > int(Path("/proc/self/oom_score_adj").read_text())


async def test_computation_imports_nothing_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ctypes.py", "struct.py"):
        (tmp_path / name).write_text("raise SystemExit('taken over')")
    monkeypatch.chdir(tmp_path)
    async with start() as process:
        await process.send([(1,)])
        assert await process.receive() == [(1,)]
