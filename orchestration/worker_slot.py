"""A worker's stable identity, held by a file lock: who holds the slot is alive, whoever held it before is dead.

The kernel releases the lock when its process ends, however it ends, and not before: a worker that is only stopped
keeps its slot. That makes the identity safe to reclaim from.
"""

import fcntl
import hashlib
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

MAX_SLOTS = 1000
LOCK_TRIES = 4
LOCK_AGAIN_SECONDS = 0.02


@dataclass(frozen=True)
class WorkerSlot:
    """One of the data folder's numbered places for a worker; keep it for as long as the worker lives."""

    number: int
    identity: str
    _lock: IO[str]

    def release(self) -> None:
        self._lock.close()


def take_slot(data_dir: Path) -> WorkerSlot:
    """Take the lowest free slot of this data folder.

    Raises:
        OSError: the folder cannot be written.
    """
    directory = data_dir / "workers"
    directory.mkdir(parents=True, exist_ok=True)
    for number in range(1, MAX_SLOTS + 1):
        lock = (directory / f"worker-{number}.lock").open("a+")
        if not _lock(lock):
            lock.close()
            continue
        identity = _identity(data_dir, number)
        lock.truncate(0)
        lock.write(f"{os.getpid()} {identity}\n")
        lock.flush()
        return WorkerSlot(number, identity, lock)
    raise OSError(f"all {MAX_SLOTS} worker slots of {data_dir} are taken")


def _lock(file: IO[str]) -> bool:
    """Take the lock; whoever only looks whether a worker is alive holds it for an instant, and is waited for."""
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOCK_AGAIN_SECONDS)
        else:
            return True
    return False


def live_workers(data_dir: Path) -> dict[int, int]:
    """Slot number to process id of the workers of this data folder that are alive on this host."""
    alive: dict[int, int] = {}
    for path in sorted((data_dir / "workers").glob("worker-*.lock")):
        with path.open("r") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = lock.read().split(" ", 1)[0]
                alive[int(path.stem.removeprefix("worker-"))] = int(pid) if pid.isdigit() else 0
    return alive


def _identity(data_dir: Path, number: int) -> str:
    """Same slot, same folder, same host: same identity, across restarts."""
    folder = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:8]
    return f"perdure-{number}@{socket.gethostname()}/{folder}"
