"""Send a signal to a living worker, after proof that the process is that worker.

A process id in a slot's file may be stale: the system may have given the number to another program, or the folder may
be shared with a container, which has other process ids. So the signal is sent only to a process that has the slot's
file open while the file's lock is held.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil

from orchestration.worker.slot import LiveWorker
from perdure.errors import RefusedCommand


def signal_worker(worker: LiveWorker, number: signal.Signals) -> bool:
    """Send a signal to a worker; returns whether a process of this machine got the signal.

    Args:
        worker: a worker from `find_live_workers`.
        number: the signal.

    Raises:
        RefusedCommand: the process belongs to another user.
    """
    if not worker.pid:
        return False
    try:
        # A descriptor always refers to the same process. The system can give a process id to another process between
        # the check and the signal. Some builds of Python, such as those that uv installs, lack `pidfd_open`.
        descriptor = os.pidfd_open(worker.pid) if hasattr(os, "pidfd_open") else None
    except OSError:
        return False
    try:
        if not _has_open(worker.pid, worker.lock_file):
            return False
        if descriptor is None:
            os.kill(worker.pid, number)
        else:
            signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    except (PermissionError, psutil.AccessDenied) as error:
        raise RefusedCommand(
            f"The worker {worker.pid} belongs to another user; run the command as that user."
        ) from error
    finally:
        if descriptor is not None:
            os.close(descriptor)
    return True


def _has_open(pid: int, lock_file: Path) -> bool:
    """Return whether the process has this file open, and not only a file of the same name."""
    with suppress(psutil.NoSuchProcess):
        return any(Path(opened.path).samefile(lock_file) for opened in psutil.Process(pid).open_files())
    return False
