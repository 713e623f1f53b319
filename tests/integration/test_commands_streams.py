"""Closed and full standard streams, a full disk, colours, and the common options."""

import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure import __version__
from tests.integration.command_line import PATIENCE_SECONDS, ROOT, CommandLine, command_line

STARTER = shlex.join([sys.executable, str(ROOT / "starter.py")])
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9]")


@pytest.fixture(scope="module")
def line(session_dir: Path) -> Iterator[CommandLine]:
    with command_line(session_dir / "streams") as started:
        yield started


def run_in_shell(line: CommandLine, command: str) -> tuple[int, str, str]:
    """Run a command of the starter in bash; returns its exit code, stdout and stderr."""
    ended = subprocess.run(
        ["bash", "-c", f"{STARTER} {command}"],
        cwd=ROOT,
        env=line.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize("command", ["list --json", "--help", "--version"])
def test_closed_stdout_is_one_sentence_and_code_2(line: CommandLine, command: str) -> None:
    code, _, stderr = run_in_shell(line, f"{command} >&-")
    assert (code, stderr) == (2, "The answer cannot be written to stdout: stdout is closed.\n")


@pytest.mark.parametrize("command", ["list --json", "--help"])
def test_full_stdout_is_one_sentence_and_code_2(line: CommandLine, command: str) -> None:
    code, _, stderr = run_in_shell(line, f"{command} >/dev/full")
    assert (code, stderr) == (2, "The answer cannot be written to stdout: no space left on device.\n")


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full", "2>&- <&-"])
def test_lost_stderr_changes_no_answer_and_no_code(line: CommandLine, stderr: str) -> None:
    assert run_in_shell(line, f"list --json {stderr}") == (0, "[]\n", "")
    assert run_in_shell(line, f"status -w no-such-run {stderr}") == (2, "", "")


def test_full_disk_at_first_start_is_one_sentence(tmp_path: Path, line: CommandLine) -> None:
    command = f'mount -t tmpfs -o size=1m tmpfs "$0" || exit 77; PERDURE_DATA_DIR="$0/data" {STARTER} run samples'
    ended = subprocess.run(
        ["unshare", "--mount", "bash", "-c", command, str(tmp_path)],
        cwd=ROOT,
        env=line.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    if ended.returncode in (1, 77) and "ermission" in ended.stderr + ended.stdout:
        pytest.skip("this user may not mount a file system")
    assert ended.returncode == 2, ended
    refusal = ended.stderr.splitlines()[-1]
    assert re.match(r"The servers did not start: the disk of the data folder .* has \d+ MB free", refusal)


def test_version_is_printed(line: CommandLine) -> None:
    ended = line("--version")
    assert (ended.code, ended.stdout) == (0, f"perdure {__version__}\n")


def test_quiet_leaves_answers_and_refusals(line: CommandLine) -> None:
    assert line("list", "--quiet").stderr == ""
    assert line("status", "-q").stderr == "There are no runs yet.\n"


def test_verbose_prints_log_records(line: CommandLine) -> None:
    assert f"DEBUG perdure.commands: perdure {__version__}" in line("list", "--verbose").stderr


def test_no_color_leaves_colours_out(line: CommandLine) -> None:
    assert COLOUR.search(read_terminal(line, {}))
    assert not COLOUR.search(read_terminal(line, {"NO_COLOR": "1"}))


def read_terminal(line: CommandLine, variables: dict[str, str]) -> str:
    """Return what `--help` writes to a terminal."""
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in line.environment.items() if name != "NO_COLOR"} | variables
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "starter.py"), "--help"],
        cwd=ROOT,
        env=environment | {"TERM": "xterm-256color"},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    pieces = []
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the last process that had the terminal open has ended
            break
        if not piece:
            break
        pieces.append(piece)
    process.wait(PATIENCE_SECONDS)
    os.close(ours)
    return b"".join(pieces).decode()
