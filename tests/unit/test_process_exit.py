"""The end of a program: the right exit code, complete output, and one sentence on stderr."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, sys
from temporalio.service import RPCError, RPCStatusCode
from orchestration.process_exit import run_main
from perdure.errors import DependencyUnavailable, PortInUse

async def refused(): raise PortInUse("Port 1 is taken.")
async def away(): raise DependencyUnavailable("Postgres", "it went away")
async def unreachable(): raise RPCError("connection lost\\ntwice", RPCStatusCode.UNAVAILABLE, b"")
async def unforeseen(): raise KeyError("key")
async def grouped(): raise ExceptionGroup("", [PortInUse("Port 1 is taken.")])
async def done(): print("whole " * 20000)
async def answers_briefly(): print("short")
async def found_a_difference(): return 1
async def leaves(): sys.exit(7)
async def waits():
    try:
        print("ready", flush=True)
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0.05)
        print("closed")

run_main(globals()[sys.argv[1]])
"""
ROOT = Path(__file__).parents[2]


def run(how: str, tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "data").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, how],
        # An unbuffered stdout needs no flush at the end, and so would hide that it is missing.
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "", **variables},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("how", "code", "sentence"),
    [
        ("done", 0, ""),
        ("found_a_difference", 1, ""),
        ("leaves", 7, ""),
        ("refused", 2, "Port 1 is taken.\n"),
        ("grouped", 2, "Port 1 is taken.\n"),
        ("away", 2, "Postgres is unavailable: it went away\n"),
        ("unreachable", 2, "The Temporal server became unavailable: connection lost twice.\n"),
    ],
)
def test_each_way_to_end_has_its_exit_code_and_one_sentence(how: str, code: int, sentence: str, tmp_path: Path) -> None:
    ended = run(how, tmp_path)
    assert (ended.returncode, ended.stderr) == (code, sentence)


def test_output_is_complete_at_exit(tmp_path: Path) -> None:
    assert run("done", tmp_path).stdout == "whole " * 20000 + "\n"


def test_unexpected_error_is_logged_and_shown_only_on_request(tmp_path: Path) -> None:
    ended = run("unforeseen", tmp_path)
    log = tmp_path / "data" / "logs" / "errors.log"
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert str(log) in ended.stderr
    assert "Traceback" in log.read_text()
    assert "Traceback" in run("unforeseen", tmp_path, PERDURE_DEBUG="1").stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_interrupted_program_closes_before_it_exits(number: signal.Signals, code: int, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        "waits",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    assert await process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    assert await process.stdout.read() == b"closed\n"
    assert await process.wait() == code


@pytest.mark.parametrize("how", ["done", "answers_briefly"])
def test_closed_output_pipe_gives_exit_code_141(how: str, tmp_path: Path) -> None:
    """A short answer reaches the pipe only with the last flush."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, how],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""},
            cwd=tmp_path,
            stdout=gone,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (141, b"")
