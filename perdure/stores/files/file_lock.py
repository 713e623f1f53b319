"""Exclusive access to a file: a lock between processes, and a write lease."""

import fcntl
import signal
import time
from pathlib import Path

LOCK_SECONDS = 10.0
"""Seconds to wait for another process. A stopped process may hold the lock without end."""


def wait_for_lock(descriptor: int, path: Path) -> None:
    """Lock an open file exclusively.

    Args:
        descriptor: descriptor of the open file.
        path: path of the file, for the message.

    Raises:
        TimeoutError: another process has not released the lock within `LOCK_SECONDS`.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    pause = 0.0005
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"another process has held {path.name} for {LOCK_SECONDS:.0f} s") from None
            time.sleep(pause)
            pause = min(pause * 2, 0.02)
        else:
            return


def write_lease(descriptor: int) -> bool:
    """Return whether the kernel grants a write lease.

    Until the descriptor closes, no other process can then have the file open.
    """
    try:
        # When a process opens a leased file, the kernel signals the holder. The default signal would end the holder.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except (OSError, AttributeError):  # the kernel refuses, or the file system or operating system has no leases
        return False
    return True
