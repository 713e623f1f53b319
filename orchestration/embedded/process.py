"""Servers as processes of their own: they outlive the command that starts them, and are told apart from any other.

A process id alone names nobody for long: it is given to another program after the process has ended. A
`ProcessId` therefore carries when its process began as well.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from orchestration.embedded.system_user import SystemUser, run_as
from perdure.errors import RefusedCommand

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_STAT_STARTED = 19
"""Field 22 of /proc/<pid>/stat, counted after the command name: ticks from boot to the start of the process."""
_POLL_SECONDS = 0.02
_LOG_BYTES = 10_000_000
"""A longer log begins anew at the next start; one older log is kept."""

_DETACHED = 'umask 077; "$@" </dev/null >&2 & echo $!'
"""The shell ends at once, so that the server belongs to the init process and never becomes a zombie of ours."""


@dataclass(frozen=True)
class ProcessId:
    """One process, for good."""

    pid: int
    started: str
    """When it began: on Linux in ticks of the boot that it belongs to, which no change of the clock moves."""


def identify(pid: int) -> ProcessId | None:
    """The identity of a process that is alive now, None if there is none.

    A zombie is dead, but only when its last thread is: until then its ports are taken.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1:
            return None
        return ProcessId(pid, _started(process))
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None


def is_alive(process: ProcessId) -> bool:
    """Whether this very process still runs."""
    return identify(process.pid) == process


def works_in(pid: int, folder: Path, name: str) -> ProcessId | None:
    """The identity of this process if it runs this program in this folder, which each server has for itself."""
    try:
        process = psutil.Process(pid)
        if process.name().startswith(name) and Path(process.cwd()) == folder.resolve():
            return identify(pid)
    except (psutil.Error, OSError):
        pass  # it has ended meanwhile, or belongs to somebody else
    return None


def command_line(process: ProcessId) -> list[str]:
    """Its arguments; empty if it has ended."""
    try:
        return list(psutil.Process(process.pid).cmdline())
    except psutil.Error:
        return []


def processes_in(folder: Path, name: str) -> Iterator[ProcessId]:
    """All processes that run this program in this folder."""
    for process in psutil.process_iter():
        found = works_in(process.pid, folder, name)
        if found:
            yield found


def launch(
    command: list[str],
    *,
    log: Path,
    user: SystemUser | None,
    environment: Mapping[str, str],
    folder: Path = Path("/"),
) -> ProcessId:
    """Start a server in a session of its own and in `folder`, its output appended to `log`.

    Raises:
        OSError: the shell or the log cannot be opened.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".old.log"))
    with log.open("ab") as output:
        shell = subprocess.run(
            ["/bin/sh", "-c", _DETACHED, "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,  # Ctrl-C in the terminal must not reach it
            check=True,
            **run_as(user),
        )
    pid = int(shell.stdout)
    return identify(pid) or ProcessId(pid, "ended at once")


def stop(process: ProcessId, *, request: signal.Signals, grace_seconds: float) -> None:
    """Ask with `request`, wait, and kill if it does not end in time; returns when it has ended.

    Raises:
        RefusedCommand: it belongs to another user.
    """
    for number, seconds in ((request, grace_seconds), (signal.SIGKILL, grace_seconds)):
        if not is_alive(process):
            return
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return
        except PermissionError as error:
            raise RefusedCommand(f"The process {process.pid} belongs to another user; let that one stop it.") from error
        if wait_until(lambda: not is_alive(process), seconds):
            return


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def wait_for_start(process: ProcessId, ready: Callable[[], bool], seconds: float) -> bool:
    """Whether the server became ready in time and is alive."""
    return wait_until(lambda: not is_alive(process) or ready(), seconds) and is_alive(process)


def listens(process: ProcessId, ports: Iterable[int]) -> bool:
    """Whether this very process, and not some other that was quicker, listens on all of these ports."""
    try:
        connections = psutil.Process(process.pid).net_connections("tcp")
    except psutil.Error:
        return False
    listening = {found.laddr.port for found in connections if found.status == psutil.CONN_LISTEN}
    return listening.issuperset(ports)


def _started(process: psutil.Process) -> str:
    if _BOOT_ID.exists():
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return f"{_BOOT_ID.read_text().strip()}/{fields[_STAT_STARTED]}"
    return f"{process.create_time():.2f}"
