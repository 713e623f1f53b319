"""A test session reports its true exit code and leaves no process and no folder.

The tests run sessions with and without workers of pytest-xdist.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from orchestration.embedded.process import wait_until

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = [
    pytest.param(["-n", "2", "--max-worker-restart", "0"], marks=pytest.mark.slow, id="with workers"),
    pytest.param([], id="alone"),
]
SECONDS = 240.0
END_SECONDS = 2.0
"""For the inner sessions: how long they wait for the processes that their tests left behind."""
WAITING = """
import os, pathlib, subprocess, sys, time

def test_waits(session_dir):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    note = pathlib.Path({note!r})
    note.with_suffix(".unfinished").write_text(f"{{child.pid}} {{os.getpid()}} {{session_dir}}")
    note.with_suffix(".unfinished").rename(note)
    time.sleep(600)
"""
LEAVING = """
import subprocess, sys

def test_leaves_a_process():
    subprocess.Popen(["sleep", "600"], start_new_session=True)
"""
INTERRUPTED = """
import signal, subprocess, sys

def test_interrupts_a_child():
    child = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1, stderr=-1)
    child.stdout.readline()
    child.send_signal(signal.SIGINT)
    child.communicate()
    assert child.returncode == -signal.SIGINT
"""


def begin(folder: Path, content: str, *options: str, prepare: Callable[[], object] | None = None) -> "Session":
    """Start pytest on one file with this project's fixtures and configuration."""
    (folder / "test_inner.py").write_text(content)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml")]
    return subprocess.Popen(
        [*command, "--rootdir", str(folder), "-p", "no:cacheprovider", *options, str(folder / "test_inner.py")],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PERDURE_TEST_END_SECONDS": str(END_SECONDS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=prepare,  # noqa: PLW1509 - a signal is set before the program starts, no lock is taken
    )


Session = subprocess.Popen[str]


def end(session: Session) -> tuple[int, str]:
    """Return the exit code and the output."""
    output, _ = session.communicate(timeout=SECONDS)
    return session.returncode, output


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(("content", "code"), [("True", 0), ("False", 1)], ids=["passes", "fails"])
def test_exit_code_is_that_of_the_tests(tmp_path: Path, options: list[str], content: str, code: int) -> None:
    found, output = end(begin(tmp_path, f"def test_it():\n    assert {content}\n", *options))
    assert found == code, output
    assert output.splitlines()[-1].startswith("=")


@pytest.mark.parametrize("options", OPTIONS)
def test_process_left_behind_fails_the_session_and_is_killed(tmp_path: Path, options: list[str]) -> None:
    code, output = end(begin(tmp_path, LEAVING, *options))
    assert code == 1, output
    assert "The session started processes that survive it" in output
    assert "sleep 600" in output


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_session_that_is_ended_leaves_no_process_and_no_folder(
    tmp_path: Path, options: list[str], number: signal.Signals, code: int
) -> None:
    note = tmp_path / "note"
    session = begin(tmp_path, WAITING.format(note=str(note)), *options)
    try:
        assert wait_until(note.exists, SECONDS), session.poll()
        child, worker, folder = note.read_text().split()
        session.send_signal(number)
        assert end(session)[0] == code
    finally:
        session.kill()
    for pid in (int(child), int(worker)):
        assert wait_until(partial(_is_gone, pid), SECONDS), pid
    assert wait_until(lambda: not Path(folder).exists(), SECONDS)


@pytest.mark.parametrize("options", OPTIONS)
def test_children_receive_sigint_that_the_session_ignored(tmp_path: Path, options: list[str]) -> None:
    """A shell starts a background job with SIGINT ignored, as in `nohup make test &`."""
    session = begin(tmp_path, INTERRUPTED, *options, prepare=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    code, output = end(session)
    assert code == 0, output


def _is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid)
