"""A worker's slot in its data folder: a file whose lock the living worker holds.

A held lock proves that the worker is alive. A released lock proves that the earlier holders are dead, because the
kernel releases the lock only when the process ends. A worker that is stopped by SIGSTOP keeps its slot. Each worker
process has its own identity. The identity of a dead worker stays in the slot's file until the activities that the
server shows as started under this identity have been reclaimed.

The proof holds only for one kernel and one file. So each line of the file names the boot of the machine and the file
that the line was written into. A line does not count in a copy of the folder, on a clone of the machine, on another
host that shares the folder, and after a reboot. In those cases the server retries the activities after their timeouts.
"""

import fcntl
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

MAX_SLOTS = 1000
LOCK_TRIES = 4
LOCK_AGAIN_SECONDS = 0.02
_DIRECTORY = "workers"
_FILES = "worker-*.lock"
_FIELDS = 3
"""Process id, identity and place."""


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return secrets.token_hex(8)  # matches no boot


_BOOT = _boot_id()


@dataclass(frozen=True)
class WorkerSlot:
    """A numbered place for a worker in the data folder, which the worker keeps until it ends."""

    number: int
    identity: str
    """The name under which this worker process polls the Temporal server."""
    dead: tuple[str, ...]
    """Identities of earlier workers in this slot whose activities no worker has reclaimed yet."""
    lock_file: Path
    """The slot's file."""
    _lock: IO[bytes]

    def forget_dead(self) -> None:
        """Remove the dead identities from the file, after their activities have been reclaimed."""
        _write(self._lock, [_line(self._lock, self.identity)])

    def release(self) -> None:
        """Give the slot back when the worker stops in order.

        Dead identities whose activities are not reclaimed yet stay in the file.
        """
        _write(self._lock, [line for line in _lines(self._lock) if line.split()[1] != self.identity])
        self._lock.close()


def take_slot(data_dir: Path) -> WorkerSlot:
    """Take the lowest free slot of this data folder and return it.

    Raises:
        OSError: the folder cannot be written.
    """
    directory = data_dir / _DIRECTORY
    directory.mkdir(parents=True, exist_ok=True)
    for number in range(1, MAX_SLOTS + 1):
        path = directory / f"worker-{number}.lock"
        lock = _open(path)
        if not _lock(lock, tries=LOCK_TRIES):
            lock.close()
            continue
        before = _proven(lock)
        identity = f"perdure-{number}@{socket.gethostname()}/{secrets.token_hex(6)}"
        _write(lock, [*before, _line(lock, identity)])
        return WorkerSlot(number, identity, tuple(line.split()[1] for line in before), path, lock)
    raise OSError(f"all {MAX_SLOTS} worker slots of {data_dir} are taken")


@dataclass(frozen=True)
class LiveWorker:
    """A worker whose slot's lock is held now."""

    slot: int
    pid: int
    """Process id; 0 if the slot's file names no process of this boot of the machine."""
    lock_file: Path


def find_live_workers(data_dir: Path) -> list[LiveWorker]:
    """Return the workers of this data folder whose slots are locked now.

    The workers are in the order of their file names.
    """
    alive: list[LiveWorker] = []
    for path in sorted((data_dir / _DIRECTORY).glob(_FILES)):
        with path.open("rb", buffering=0) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = (_lines(lock) or [""])[-1].partition(" ")[0]
                alive.append(LiveWorker(int(path.stem.removeprefix("worker-")), int(pid) if pid.isdigit() else 0, path))
    return alive


def live_workers(data_dir: Path) -> dict[int, int]:
    """Return a mapping of slot to process id of the live workers of this data folder."""
    return {worker.slot: worker.pid for worker in find_live_workers(data_dir)}


@contextmanager
def dead_lives(data_dir: Path) -> Iterator[list[str]]:
    """Yield the identities of the folder's dead workers whose slots no worker has taken since.

    The slots are locked during the block. If the block ends without an exception, the identities count as reclaimed.
    """
    held: list[IO[bytes]] = []
    try:
        for path in sorted((data_dir / _DIRECTORY).glob(_FILES)):
            if path.stat().st_size == 0:
                continue
            lock = _open(path)
            held.append(lock)
            if not (_lock(lock, tries=1) and _lines(lock)):
                held.pop().close()
        yield [line.split()[1] for lock in held for line in _proven(lock)]
        for lock in held:
            _write(lock, [])
    finally:
        for lock in held:
            lock.close()


def _open(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b", buffering=0)


def _lock(file: IO[bytes], *, tries: int) -> bool:
    """Lock the file, in several tries, and return whether it was locked.

    A process that checks for live workers holds the lock only for an instant, so a second try can succeed.
    """
    for left in reversed(range(tries)):
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if left:
            time.sleep(LOCK_AGAIN_SECONDS)
    return False


def _line(file: IO[bytes], identity: str) -> str:
    return f"{os.getpid()} {identity} {_place(file)}"


def _place(file: IO[bytes]) -> str:
    """Return the boot of the machine and the identity of the file, for which a lock is proof."""
    status = os.fstat(file.fileno())
    return f"{_BOOT}/{status.st_dev}:{status.st_ino}"


def _proven(file: IO[bytes]) -> list[str]:
    """Return the lines for which the file's lock is proof."""
    return [line for line in _lines(file) if line.split()[2] == _place(file)]


def _lines(file: IO[bytes]) -> list[str]:
    file.seek(0)
    return [line for line in file.read().decode(errors="replace").splitlines() if len(line.split()) == _FIELDS]


def _write(file: IO[bytes], lines: list[str]) -> None:
    """Replace the content of the file in place.

    A process that dies between the two steps leaves too many lines, never too few.
    """
    content = "".join(f"{line}\n" for line in lines).encode()
    os.pwrite(file.fileno(), content, 0)
    file.truncate(len(content))
