"""A worker's place in its data folder, held by a file lock: who holds it is alive, whoever held it before is dead.

The kernel releases the lock when its process ends, however it ends, and not before: a worker that is only stopped
keeps its slot. Each life of a worker has an identity of its own, which stands in the slot's file until everything that
the server still counts as started under it has been taken back.

A lock proves something only about this kernel and this very file. So each line also says under which boot of the
machine and into which file it was written, and counts for nothing anywhere else: in a copy of the folder, on a clone of
the machine, on another host that shares it, after a reboot. There, timeouts do what they do everywhere.
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
        return secrets.token_hex(8)  # of no boot that anybody could know again


_BOOT = _boot_id()


@dataclass(frozen=True)
class WorkerSlot:
    """One of the data folder's numbered places for a worker; keep it for as long as the worker lives."""

    number: int
    identity: str
    """What the Temporal server knows this life of the worker by."""
    dead: tuple[str, ...]
    """Identities of earlier lives in this slot that nobody has cleared up after yet."""
    lock_file: Path
    _lock: IO[bytes]

    def forget_dead(self) -> None:
        """The earlier lives have been cleared up after."""
        _write(self._lock, [_line(self._lock, self.identity)])

    def release(self) -> None:
        """Give the slot back after a worker that leaves nothing behind; lives not cleared up after stay noted."""
        _write(self._lock, [line for line in _lines(self._lock) if line.split()[1] != self.identity])
        self._lock.close()


def take_slot(data_dir: Path) -> WorkerSlot:
    """Take the lowest free slot of this data folder.

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
    """The workers of this data folder whose slots are locked now, in the order of their file names."""
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
    """Slot number to process id of the workers of this data folder that are alive on this host."""
    return {worker.slot: worker.pid for worker in find_live_workers(data_dir)}


@contextmanager
def dead_lives(data_dir: Path) -> Iterator[list[str]]:
    """Identities of the folder's workers that died and whose slot nobody has taken since.

    Their slots are held meanwhile; when the block ends without an exception they count as cleared up after.
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
    """Take the lock; whoever only looks whether a worker is alive holds it for an instant, and is waited for."""
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
    """The boot of the machine, and the very file, that its lock says something about."""
    status = os.fstat(file.fileno())
    return f"{_BOOT}/{status.st_dev}:{status.st_ino}"


def _proven(file: IO[bytes]) -> list[str]:
    """The lines that the file's lock says something about."""
    return [line for line in _lines(file) if line.split()[2] == _place(file)]


def _lines(file: IO[bytes]) -> list[str]:
    file.seek(0)
    return [line for line in file.read().decode(errors="replace").splitlines() if len(line.split()) == _FIELDS]


def _write(file: IO[bytes], lines: list[str]) -> None:
    """Replace the content in place; a process that dies between the two steps leaves more lines, never fewer."""
    content = "".join(f"{line}\n" for line in lines).encode()
    os.pwrite(file.fileno(), content, 0)
    file.truncate(len(content))
