"""Send a signal to a worker of a data folder, after proof that the process is that worker.

A process id in a slot's file may be stale, or belong to the process table of another container that shares the folder.
The proof has two parts: a process holds the slot's lock, and the process of the noted id has the lock's file open.
"""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from orchestration.worker.slot import live_workers


@dataclass(frozen=True)
class SignalledWorker:
    """A worker that got a signal."""

    slot: int
    pid: int


def signal_workers(data_dir: Path, number: signal.Signals, slot: int | None = None) -> list[SignalledWorker]:
    """Send a signal to the workers of a data folder that are alive in this process table.

    Args:
        data_dir: absolute.
        number: the signal.
        slot: only to the worker of this slot; to all if None.

    Returns:
        The workers that got it, by slot.
    """
    reached = []
    for taken, pid in live_workers(data_dir).items():
        if slot in (None, taken) and _send(data_dir / "workers" / f"worker-{taken}.lock", pid, number):
            reached.append(SignalledWorker(taken, pid))
    return reached


def _send(lock: Path, pid: int, number: signal.Signals) -> bool:
    """Whether the process has the file open, and so got the signal."""
    if pid <= 0:
        return False
    try:
        # The descriptor stands for this very process: a later process of the same id does not get the signal.
        process = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not _has_open(pid, lock):
            return False
        signal.pidfd_send_signal(process, number)
    except OSError:
        return False
    finally:
        os.close(process)
    return True


def _has_open(pid: int, path: Path) -> bool:
    wanted = path.stat()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            status = descriptor.stat()
        except OSError:  # closed meanwhile
            continue
        if (status.st_dev, status.st_ino) == (wanted.st_dev, wanted.st_ino):
            return True
    return False
