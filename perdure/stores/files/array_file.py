"""A JSON array in a file: grows by one element in constant time, and is valid at every moment for every reader.

Why it is always valid: **a file that anybody may have open is never written to.** Whatever the order of writes, a
reader could see half of one; only a rename is atomic. So there are two copies, and they change places:

* The *published* copy, under the name that readers know, is complete and is never touched.
* The *spare*, under a hidden name, lags behind it. An append cuts the spare to what it shares with the published copy
  (all but the last element), adds that element and the new one, syncs it, and renames it to the published name. The
  copy that was published until then becomes the spare.

A reader may still hold the former published copy open. The kernel grants a write lease on a file only when nobody else
has it open, and keeps whoever comes later waiting as long as the lease lasts. So the spare is written under a lease;
when none is granted, because of such a reader or because the file system knows no leases, the spare is left alone and
a new one is copied. That copy is the only step whose time grows with the file. A spare with a second name, made by
somebody's hard link, is left alone too.

What a crash leaves: the published copy was synced before it got its name, so it is whole; a torn spare is torn only
behind what the next append keeps. Should a published file be damaged all the same, by a disk or by hand, then its
complete elements are kept, and the damaged file beside them under a name that says so.

Each element stands on a line of its own between the lines `[` and `]`; JSON strings hold no raw line breaks, so the
last elements are found by reading backwards from the end.

Long for a file of ours: writing, reading, cutting and examining this one format cannot be understood apart.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perdure.stores.files.file_lock import wait_for_lock, write_lease

_START = b"["
_SEPARATOR = b",\n"
_END = b"\n]\n"
_TAIL_BYTES = 16 * 1024


class DamagedArrayError(OSError):
    """The file holds no JSON array, and nothing of one can be saved."""


@dataclass(frozen=True, slots=True)
class _Tail:
    """The end of a whole array: its last element, and what stands before that and its separator."""

    last: bytes
    before: bytes
    """The element before the last, or the opening bracket."""
    before_end: int
    """Offset in bytes at which `before` ends: up to there the spare agrees."""

    @property
    def separator(self) -> bytes:
        return b"\n" if self.before == _START else _SEPARATOR


class ArrayFile:
    """One array. Readers need no lock; appending is safe across threads and processes.

    Args:
        path: the published file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._spare = path.with_name(f".{path.name}.spare")
        self._fresh = path.with_name(f".{path.name}.fresh")
        self._former = path.with_name(f".{path.name}.former")
        self._lock = path.with_name(f".{path.name}.lock")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the array alone, repaired if need be.

        Raises:
            OSError: the disk refuses, or another process does not let go within `LOCK_SECONDS`.
        """
        with self._held():
            self._repair_if_damaged()
            yield

    @contextmanager
    def _held(self) -> Iterator[None]:
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            wait_for_lock(descriptor, self._lock)
            yield
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # for a forked child's copy of the descriptor too
        finally:
            os.close(descriptor)

    def read(self) -> list[Any]:
        """All elements, oldest first; none if there is no file. A damaged file is read as far as it can be."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        return _elements(content)

    def examine(self) -> tuple[list[Any], str | None]:
        """All elements that can be read, and what is wrong with the file, if anything is, as a clause."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return [], None
        try:
            whole = json.loads(content)
        except ValueError:
            with suppress(DamagedArrayError):
                found = _elements(content)
                return found, f"is damaged: of its elements only the first {len(found)} can be read"
            whole = None
        return (whole, None) if isinstance(whole, list) else ([], "holds no JSON array")

    def replace(self, elements: Sequence[Any], instead_of: Sequence[Any]) -> tuple[bool, Path | None]:
        """Publish an array in place of what is there, which is kept beside it.

        Returns:
            Whether it was done, which it is not if the file does not hold `instead_of` any more; and where the former
            file is kept, None if there was none.

        Raises:
            OSError: the disk refuses, or another process does not let go.
        """
        with self._held():
            if self.examine()[0] != list(instead_of):
                return False, None
            kept = None
            if self.path.exists():
                kept = self._damaged_name()
                shutil.copyfile(self.path, kept)
            self._spare.unlink(missing_ok=True)  # it lags behind the copy that is given up
            self._publish_afresh(elements)
            return True, kept

    def drop_first(self, count: int) -> None:
        """Take the first elements away, in one step for every reader. Call it `locked`.

        Raises:
            OSError: the disk refuses; what is published has not changed.
        """
        elements = self.read()[count:]
        self._spare.unlink(missing_ok=True)  # it has another beginning
        self._publish_afresh(elements)

    def last(self) -> Any | None:
        """The last element, None if there is none; reads a bounded part of the file."""
        tail = self._tail()
        if tail is None:
            elements = self.read()
            return elements[-1] if elements else None
        return json.loads(tail.last)

    def append(self, element: Any) -> None:
        """Add one element durably. Call it `locked`.

        Raises:
            OSError: the disk refuses; what is published has not changed, or has it whole.
        """
        tail = self._tail()
        if tail is None:
            self._publish_afresh([element])
            return
        line = _line(element)
        addition = tail.separator + tail.last + _SEPARATOR + line + _END
        if not self._extend_spare(tail, addition):
            self._copy_spare()
            if not self._extend_spare(tail, addition, sole_owner=True):
                raise DamagedArrayError(f"{self.path.name} changed while it was copied")
        self._publish_spare()

    def _tail(self) -> _Tail | None:
        """None if there is no file, or one that is not whole."""
        try:
            with self.path.open("rb") as file:
                return _tail(file.fileno())
        except FileNotFoundError:
            return None

    def _extend_spare(self, tail: _Tail, addition: bytes, *, sole_owner: bool = False) -> bool:
        """Make the spare the next published copy; False, and nothing done, if it cannot be used."""
        try:
            descriptor = os.open(self._spare, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            if not sole_owner and not (os.fstat(descriptor).st_nlink == 1 and write_lease(descriptor)):
                return False
            start = tail.before_end - len(tail.before)
            if os.pread(descriptor, len(tail.before), start) != tail.before:
                return False
            _write(descriptor, tail.before_end, addition)
            return True
        finally:
            os.close(descriptor)  # which ends the lease

    def _copy_spare(self) -> None:
        """A new spare, synced before it has its name, so that a spare is never torn in what it shares."""
        self._spare.unlink(missing_ok=True)
        self._fresh.unlink(missing_ok=True)
        with self.path.open("rb") as published, self._fresh.open("xb") as fresh:
            shutil.copyfileobj(published, fresh, 1024 * 1024)
            fresh.flush()
            os.fsync(fresh.fileno())
        self._fresh.rename(self._spare)

    def _publish_spare(self) -> None:
        self._former.unlink(missing_ok=True)
        with suppress(OSError):  # without hard links there is no spare next time, and a copy is made
            os.link(self.path, self._former)
        self._spare.rename(self.path)
        with suppress(FileNotFoundError):
            self._former.rename(self._spare)
        sync_directory(self.path.parent)

    def _publish_afresh(self, elements: Sequence[Any]) -> None:
        lines = [_line(one) for one in elements]
        self._fresh.unlink(missing_ok=True)
        with self._fresh.open("xb") as file:
            file.write(_START + b"\n" + _SEPARATOR.join(lines) + _END)
            file.flush()
            os.fsync(file.fileno())
        self._fresh.rename(self.path)
        sync_directory(self.path.parent)

    def _repair_if_damaged(self) -> None:
        if not self.path.exists() or self._tail() is not None:
            return
        content = self.path.read_bytes()
        elements = _elements(content)
        if not elements:
            self.path.rename(self._damaged_name())
            return
        shutil.copyfile(self.path, self._damaged_name())
        self._publish_afresh(elements)

    def _damaged_name(self) -> Path:
        return self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}")


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _line(element: Any) -> bytes:
    return json.dumps(element, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _write(descriptor: int, offset: int, content: bytes) -> None:
    os.ftruncate(descriptor, offset)
    try:
        written = 0
        while written < len(content):
            written += os.pwrite(descriptor, content[written:], offset + written)
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, offset)  # give a full disk its room back
        raise


def _tail(descriptor: int) -> _Tail | None:
    """Read backwards until the last two elements are seen; None if this is not how we write an array."""
    size, length = os.fstat(descriptor).st_size, _TAIL_BYTES
    while True:
        start = max(0, size - length)
        content = os.pread(descriptor, size - start, start)
        if not content.endswith(_END):
            return None
        lines = content[: -len(_END)].rsplit(b"\n", 2)
        if len(lines) == 3 or start == 0:  # noqa: PLR2004  the last, the one before, and the rest
            break
        length *= 4
    if len(lines) < 2:  # noqa: PLR2004  not even a bracket and one element
        return None
    last, before = lines[-1], lines[-2].removesuffix(b",")
    if not _is_json(last) or not (before == _START if len(lines) == 2 else lines[-2].endswith(b",")):  # noqa: PLR2004
        return None
    return _Tail(last, before, size - len(_END) - len(last) - 1 - (len(lines[-2]) - len(before)))


def _elements(content: bytes) -> list[Any]:
    """The elements of an array; of a damaged one those whose lines are whole, up to the first that is not."""
    if content.strip() and not content.lstrip().startswith(_START):
        raise DamagedArrayError("a file of checkpoints holds no JSON array")
    try:
        whole: list[Any] = json.loads(content)
    except ValueError:
        found: list[Any] = []
        for line in content.split(b"\n")[1:]:
            try:
                found.append(json.loads(line.removesuffix(b",")))
            except ValueError:
                break
        return found
    return whole


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
