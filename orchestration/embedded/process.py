"""Servers as separate processes, which outlive the command that starts them.

The system gives a process id to another program after the process has ended. A `ProcessId` therefore also holds when
the process started.
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
"""Size limit of a log. The next start renames a larger log to `.old.log`, and begins a new log."""

_DETACHED = 'umask 077; "$@" </dev/null >&2 & echo $!'
"""Starts the server in the background. The shell ends at once, so that the init process becomes the server's parent and
collects its exit code."""


@dataclass(frozen=True)
class ProcessId:
    """The identity of one process, which no later process shares."""

    pid: int
    started: str
    """The start time: on Linux the boot and the ticks since the boot, which a change of the clock does not move."""


def identify(pid: int) -> ProcessId | None:
    """Return the identity of a process that is alive now; None if there is none.

    A zombie counts as dead when its last thread has ended, because its ports are in use until then.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1:
            return None
        return ProcessId(pid, _started(process))
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None


def is_alive(process: ProcessId) -> bool:
    """Return whether the process still runs; another process with its id does not count."""
    return identify(process.pid) == process


def works_in(pid: int, folder: Path, name: str) -> ProcessId | None:
    """Return the process's identity if it runs this program in this folder, else None.

    Each server has its own folder.
    """
    try:
        process = psutil.Process(pid)
        if process.name().startswith(name) and Path(process.cwd()) == folder.resolve():
            return identify(pid)
    except (psutil.Error, OSError):
        pass  # the process has ended, or belongs to another user
    return None


def command_line(process: ProcessId) -> list[str]:
    """Return the arguments of the process; empty if it has ended."""
    try:
        return list(psutil.Process(process.pid).cmdline())
    except psutil.Error:
        return []


def processes_in(folder: Path, name: str) -> Iterator[ProcessId]:
    """Yield the identities of all processes that run this program in this folder."""
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
    """Start a server in a new session and return its identity.

    Args:
        command: program and arguments.
        log: file that the output is appended to.
        user: system user of the process; None for the current user.
        environment: all variables of the process.
        folder: current folder of the process.

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
            start_new_session=True,  # Ctrl-C in the terminal must not reach the server
            check=True,
            **run_as(user),
        )
    pid = int(shell.stdout)
    return identify(pid) or ProcessId(pid, "ended at once")


def stop(process: ProcessId, *, request: signal.Signals, grace_seconds: float) -> None:
    """Stop a process with a signal, and with SIGKILL if it does not end in time.

    Returns when the process has ended.

    Args:
        process: the process to stop.
        request: signal that asks for a stop.
        grace_seconds: time to end after each of the two signals.

    Raises:
        RefusedCommand: the process belongs to another user.
    """
    for number, seconds in ((request, grace_seconds), (signal.SIGKILL, grace_seconds)):
        if not is_alive(process):
            return
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return
        except PermissionError as error:
            raise RefusedCommand(
                f"The process {process.pid} belongs to another user; run the command as that user."
            ) from error
        if wait_until(lambda: not is_alive(process), seconds):
            return


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Return whether the condition came true within this many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def wait_for_start(process: ProcessId, ready: Callable[[], bool], seconds: float) -> bool:
    """Return whether the server became ready within this many seconds and is alive."""
    return wait_until(lambda: not is_alive(process) or ready(), seconds) and is_alive(process)


def listens(process: ProcessId, ports: Iterable[int]) -> bool:
    """Return whether this process itself listens on all of these ports.

    Another process may have taken one of the ports first.
    """
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
