"""Each barrier of the confinement holds alone, as on a kernel that lacks the other barrier."""

import json
import platform
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.sandbox.barriers import UNAVAILABLE, ask_version_of_rules

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="confinement needs the Linux kernel")
ROOT = Path(__file__).resolve().parents[3]
CHANGES = {
    "open to write", "open to read and write", "open to truncate", "open to create", "truncate", "remove", "rename",
    "make a folder", "link",
}  # fmt: skip


def run(barrier: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-m", "tests.unit.sandbox.barriers", barrier, str(folder)]
        command.append(str(server.getsockname()[1]))
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def list_results(barrier: str, folder: Path) -> dict[str, str]:
    """Return the error of each attempt; empty for an attempt that succeeded."""
    for name in ("file", "readable"):
        (folder / name).write_text("as it was")
    done = run(barrier, folder)
    if done.returncode == UNAVAILABLE:
        pytest.skip("this kernel has no such barrier")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["file", "readable"]
    assert (folder / "file").read_text() == "as it was"
    results: dict[str, str] = json.loads(done.stdout)
    return results


def test_filter_of_system_calls_holds_alone(tmp_path: Path) -> None:
    results = list_results("filter", tmp_path)
    allowed = {"read", "read what is readable", "list", "signal to itself", "thread"}
    assert {what for what, error in results.items() if not error} == allowed
    assert {what for what, error in results.items() if error == "EACCES"} == set(results) - allowed


def test_rules_of_files_hold_alone(tmp_path: Path) -> None:
    results = list_results("rules", tmp_path)
    assert not results["read what is readable"]
    refused = {what for what, error in results.items() if error in ("EACCES", "EPERM")}
    version = ask_version_of_rules()
    by_version = {"truncate": 3, "open to truncate": 3, "connect": 4, "signal to the parent": 6}
    expected = {"read", "list", "execute", *CHANGES} - {what for what, first in by_version.items() if first > version}
    assert refused >= expected | {what for what, first in by_version.items() if first <= version}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only x86 has a second interface")
def test_call_of_another_architecture_ends_the_process(tmp_path: Path) -> None:
    done = run("old interface", tmp_path)
    if done.returncode in (UNAVAILABLE, -signal.SIGSEGV):
        pytest.skip("this kernel has no filter, or no second interface")
    assert done.returncode == -signal.SIGSYS
