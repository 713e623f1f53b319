"""Records what code does to a folder, and gives the crashes that can follow each step.

    with record(folder, []) as recorder:
        store.append(1)
        recorder.acknowledge([1])
    for crash in recorder.lose_power(tmp_path / "after"):
        assert read(crash.folder) in crash.expected

After each call of a function that can change a file, the recorder compares the folder with its last look, whether the
call writes through `os`, a file object or `shutil`. So an operation is what changed in one such call.
"""

import os
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

from tests.unit.crash.disk import ROOT, Disk, Fate, Operation, Rename, Sync, Truncate, Write, lose_power

_WRITING = ("open", "write", "writelines", "pwrite", "truncate", "ftruncate", "flush", "close", "__exit__", "sendfile")
_NAMING = ("rename", "replace", "link", "unlink", "remove", "mkdir", "rmdir")
_CHANGING = frozenset({*_WRITING, *_NAMING})
"""Names of the C functions and methods after which the recorder looks at the folder."""


@dataclass(frozen=True)
class Crash:
    """The folder as one crash left it."""

    folder: Path
    expected: tuple[Any, ...]
    """The value acknowledged before the crash, and the value acknowledged next: the folder must hold one of them."""
    operations: Sequence[Operation]
    """What the code had done before the crash, for messages."""


class Recorder:
    """The operations on a folder, in order.

    Args:
        folder: the folder to record, with all entries below it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._operations: list[Operation] = []
        self._acknowledged: list[tuple[int, Any]] = []
        self._numbers: dict[int, int] = {folder.stat().st_ino: ROOT}
        self._device = folder.stat().st_dev
        self._next = ROOT + 1
        self._seen = Disk({}, {ROOT: {}})
        self._busy = threading.RLock()
        self._is_looking = False
        self.look()
        self._start = self._seen.copy()
        self._operations.clear()

    def acknowledge(self, value: Any) -> None:
        """Note that the code has reported success.

        From here on, a crash must leave `value` or the next acknowledged value."""
        self.look()
        self._acknowledged.append((len(self._operations), value))

    def kill_process(self, after: Path) -> Iterator[Crash]:
        """Yield the folder after a SIGKILL that follows each operation.

        A SIGKILL keeps every operation so far.

        Args:
            after: the folder of each crash, which the next crash replaces.
        """
        disk = self._start.copy()
        for moment in range(len(self._operations) + 1):
            yield self._crash(disk, moment, after)
            if moment < len(self._operations):
                disk.apply(self._operations[moment], Fate.KEPT)

    def lose_power(self, after: Path) -> Iterator[Crash]:
        """Yield each folder that a power loss after any number of operations can leave.

        Args:
            after: the folder of each crash, which the next crash replaces.
        """
        seen: set[Any] = set()
        for moment in range(len(self._operations) + 1):
            for disk in lose_power(self._start, self._operations[:moment]):
                key = (tuple(disk.list_content()), self._find_acknowledged(moment))
                if key not in seen:
                    seen.add(key)
                    yield self._crash(disk, moment, after)

    def look(self) -> None:
        """Add what has changed in the folder since the last look."""
        with self._busy:
            if self._is_looking:  # called for one of its own calls
                return
            self._is_looking = True
            try:
                self._compare(self._folder, ROOT)
                self._forget_deleted()
            finally:
                self._is_looking = False

    def add_sync(self, descriptor: int) -> None:
        """Add the sync of a file or folder; syncs of others are left out."""
        self.look()
        status = os.fstat(descriptor)
        number = self._numbers.get(status.st_ino)
        if number is not None and status.st_dev == self._device:
            self._operations.append(Sync(number))

    def _crash(self, disk: Disk, moment: int, after: Path) -> Crash:
        shutil.rmtree(after, ignore_errors=True)
        disk.build(after)
        position = self._find_acknowledged(moment)
        expected = tuple(value for _, value in self._acknowledged[position : position + 2])
        return Crash(after, expected, self._operations[:moment])

    def _find_acknowledged(self, moment: int) -> int:
        """Return the position of the last value that was acknowledged before a moment."""
        return sum(position <= moment for position, _ in self._acknowledged) - 1

    def _compare(self, folder: Path, number: int) -> None:
        entries = {entry.name: entry for entry in os.scandir(folder)}
        names = {name: self._number(entry) for name, entry in entries.items()}
        before = self._seen.folders[number]
        changed = {
            name: names.get(name) for name in before.keys() | names.keys() if before.get(name) != names.get(name)
        }
        if changed:
            self._add(Rename(number, tuple(sorted(changed.items()))))
        for name, entry in entries.items():
            if entry.is_dir(follow_symlinks=False):
                self._compare(folder / name, names[name])
            else:
                self._compare_content(names[name], Path(entry.path).read_bytes())

    def _compare_content(self, number: int, content: bytes) -> None:
        before = self._seen.files.get(number, b"")
        if content == before:
            return
        if len(content) < len(before):
            self._add(Truncate(number, len(content)))
            before = before[: len(content)]
        pairs = enumerate(zip(before, content, strict=False))
        same = next((offset for offset, (old, new) in pairs if old != new), min(len(before), len(content)))
        if same < len(content):
            self._add(Write(number, same, content[same:]))

    def _number(self, entry: os.DirEntry[str]) -> int:
        """Return the number of a file or folder; a new one gets the next number."""
        if entry.inode() not in self._numbers:
            self._numbers[entry.inode()] = self._next
            if entry.is_dir(follow_symlinks=False):
                self._seen.folders[self._next] = {}
                if hasattr(self, "_start"):
                    self._start.folders[self._next] = {}
            self._next += 1
        return self._numbers[entry.inode()]

    def _forget_deleted(self) -> None:
        """Forget the inodes of deleted files: the file system gives their numbers to new files."""
        named = {number for names in self._seen.folders.values() for number in names.values()} | {ROOT}
        self._numbers = {inode: number for inode, number in self._numbers.items() if number in named}

    def _add(self, operation: Operation) -> None:
        self._operations.append(operation)
        self._seen.apply(operation, Fate.KEPT)


@contextmanager
def record(folder: Path, initially: Any) -> Iterator[Recorder]:
    """Record what the code of the block does to a folder.

    The recorder covers this thread and the threads that the block starts.

    No fsync reaches the real disk: the model decides what survives.

    Args:
        folder: the folder to record; it must exist.
        initially: the value that the folder holds at first.
    """
    recorder = Recorder(folder)
    recorder.acknowledge(initially)

    def watch(_: FrameType, event: str, function: Any) -> None:
        if event in ("c_return", "c_exception") and getattr(function, "__name__", "") in _CHANGING:
            recorder.look()

    with mock.patch.object(os, "fsync", recorder.add_sync), mock.patch.object(os, "fdatasync", recorder.add_sync):
        threading.setprofile(watch)
        sys.setprofile(watch)
        try:
            yield recorder
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
    recorder.look()
