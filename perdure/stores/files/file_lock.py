"""Who may write to a file now: a lock between processes, and the kernel's word that nobody else has it open."""

import fcntl
import signal
import time
from pathlib import Path

LOCK_SECONDS = 10.0
"""How long to wait for another process; a stopped one may hold the lock for ever."""


def wait_for_lock(descriptor: int, path: Path) -> None:
    """Lock the open file alone.

    Raises:
        TimeoutError: another process has not let go within `LOCK_SECONDS`.
    """
    deadline, pause = time.monotonic() + LOCK_SECONDS, 0.0005
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
    """Whether nobody else has the file open, and nobody will until the descriptor is closed."""
    try:
        # Whoever opens the file meanwhile makes the kernel signal us; the default signal would end the process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except (OSError, AttributeError):  # refused; or not known to the file system, or to the operating system
        return False
    return True
