"""`ArrayFile`: a JSON array in a file, which is valid at every moment.

An append takes constant time. **`ArrayFile` never writes to a file that another process may have open**, because a
reader could see half of a write. Only a rename is atomic. `ArrayFile` therefore keeps two copies, and each append
exchanges the copies:

* The *published* copy, under the name that readers know, is complete and is never changed.
* The *spare*, under a hidden name, lacks the last element of the published copy. An append cuts the spare to the
  content that both copies share (all but the last element), adds that element and the new element, syncs the spare, and
  renames it to the published name. The copy that was published until then becomes the spare.

A reader may still hold the former published copy open. An append therefore writes the spare under a write lease. The
kernel grants a write lease only if no other process has the file open. A process that opens the file later waits until
the lease ends. The kernel refuses the lease if a reader has the spare open, or if the file system has no leases. The
append then makes a new spare by copying the published file. This copy is the only step whose time grows with the file.
The append also copies the published file if the spare has a second hard link.

After a crash the published copy is whole, because an append syncs each copy before the rename. A crash can damage only
the end of a spare, which the next append overwrites. If a disk or a user damages the published file, the repair keeps
its complete elements, and keeps the damaged file under a name with `.damaged-`.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from perdure.stores.durable_folders import sync_folder
from perdure.stores.files.array_format import (
    END,
    SEPARATOR,
    DamagedArrayError,
    Tail,
    examine_content,
    format_array,
    format_element,
    parse_elements,
    read_tail,
)
from perdure.stores.files.file_lock import wait_for_lock, write_lease

__all__ = ["ArrayFile", "DamagedArrayError"]

_COPY_BYTES = 1024 * 1024


class ArrayFile:
    """A JSON array in a file. Readers need no lock, and several processes may append.

    Args:
        path: the published file.
    """

    def __init__(self, path: Path) -> None:
        """Derive the names of the hidden files; open nothing."""
        self.path = path
        self._spare = path.with_name(f".{path.name}.spare")
        self._fresh = path.with_name(f".{path.name}.fresh")
        self._former = path.with_name(f".{path.name}.former")
        self._lock = path.with_name(f".{path.name}.lock")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the array against other writers, and repair a damaged file first.

        Raises:
            OSError: the disk refuses, or another process does not release the lock within `LOCK_SECONDS`.
        """
        with self._hold_lock():
            self._repair_if_damaged()
            yield

    @contextmanager
    def _hold_lock(self) -> Iterator[None]:
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            wait_for_lock(descriptor, self._lock)
            yield
            # A forked child may hold a copy of the descriptor. The copy would keep the lock after the close.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)

    def read(self) -> list[Any]:
        """Return all elements, oldest first; return an empty list if there is no file.

        From a damaged file, return the elements before the damage.

        Raises:
            DamagedArrayError: the file holds no array.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        return parse_elements(content)

    def examine(self) -> tuple[list[Any], str | None]:
        """Return the readable elements, and the damage of the file as a clause.

        The damage is None if the file is whole.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return [], None
        return examine_content(content)

    def replace(self, elements: Sequence[Any], instead_of: Sequence[Any]) -> tuple[bool, Path | None]:
        """Publish a new array, and keep a copy of the former file.

        Args:
            elements: the new array.
            instead_of: the elements that `examine` returned. The file is not replaced if its elements have changed.

        Returns:
            Whether the array was replaced, and the path of the kept file. The path is None if there was no file.

        Raises:
            OSError: the disk refuses, or another process does not release the lock.
        """
        with self._hold_lock():
            if self.examine()[0] != list(instead_of):
                return False, None
            kept_at = None
            if self.path.exists():
                kept_at = self._keep_damaged()
            # The present spare shares its content with the file that is replaced.
            self._spare.unlink(missing_ok=True)
            self._publish_elements(elements)
            return True, kept_at

    def drop_first(self, count: int) -> None:
        """Remove the first elements, in one step for every reader.

        The caller holds the lock (`locked`).

        Raises:
            OSError: the disk refuses; the published file has not changed.
        """
        elements = self.read()[count:]
        # The present spare begins with the removed elements.
        self._spare.unlink(missing_ok=True)
        self._publish_elements(elements)

    def last(self) -> Any | None:
        """Return the last element, or None; read a bounded part of the file."""
        tail = self._read_end()
        if tail is None:
            elements = self.read()
            return elements[-1] if elements else None
        return json.loads(tail.last)

    def append(self, element: Any) -> None:
        """Add one element durably. The caller holds the lock (`locked`).

        Raises:
            OSError: the disk refuses; the published file has not changed, or holds the whole element.
        """
        tail = self._read_end()
        if tail is None:
            self._publish_elements([element])
            return
        addition = tail.separator + tail.last + SEPARATOR + format_element(element) + END
        if not self._extend_spare(tail, addition):
            self._copy_spare()
            if not self._extend_spare(tail, addition, sole_owner=True):
                raise DamagedArrayError(f"{self.path.name} changed while it was copied")
        self._publish_spare()

    def _read_end(self) -> Tail | None:
        """Return the end of the file; None if the file is missing or damaged."""
        try:
            with self.path.open("rb") as file:
                return read_tail(file.fileno())
        except FileNotFoundError:
            return None

    def _extend_spare(self, tail: Tail, addition: bytes, *, sole_owner: bool = False) -> bool:
        """Write the next published copy into the spare.

        Return False, and write nothing, if the spare cannot be used.
        """
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
            os.close(descriptor)  # the close also ends the lease

    def _copy_spare(self) -> None:
        """Make a new spare from the published file.

        The new file is synced before the rename, so that a crash never damages the shared content.
        """
        self._spare.unlink(missing_ok=True)
        self._fresh.unlink(missing_ok=True)
        with self.path.open("rb") as published, self._fresh.open("xb") as fresh:
            shutil.copyfileobj(published, fresh, _COPY_BYTES)
            fresh.flush()
            os.fsync(fresh.fileno())
        self._fresh.rename(self._spare)

    def _publish_spare(self) -> None:
        self._former.unlink(missing_ok=True)
        # A file system without hard links leaves no spare; the next append then copies the published file.
        with suppress(OSError):
            os.link(self.path, self._former)
        self._spare.rename(self.path)
        with suppress(FileNotFoundError):
            self._former.rename(self._spare)
        sync_folder(self.path.parent)

    def _publish_elements(self, elements: Sequence[Any]) -> None:
        self._fresh.unlink(missing_ok=True)
        with self._fresh.open("xb") as file:
            file.write(format_array(list(elements)))
            file.flush()
            os.fsync(file.fileno())
        self._fresh.rename(self.path)
        sync_folder(self.path.parent)

    def _repair_if_damaged(self) -> None:
        if not self.path.exists() or self._read_end() is not None:
            return
        content = self.path.read_bytes()
        elements = parse_elements(content)
        if not elements:
            self.path.rename(self._make_damaged_path())
            return
        self._keep_damaged()
        self._publish_elements(elements)

    def _keep_damaged(self) -> Path:
        """Copy the published file durably under another name, before it is replaced."""
        kept_at = self._make_damaged_path()
        with self.path.open("rb") as published, kept_at.open("xb") as kept:
            shutil.copyfileobj(published, kept, _COPY_BYTES)
            kept.flush()
            os.fsync(kept.fileno())
        sync_folder(kept_at.parent)
        return kept_at

    def _make_damaged_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}")


def _write(descriptor: int, offset: int, content: bytes) -> None:
    os.ftruncate(descriptor, offset)
    try:
        written = 0
        while written < len(content):
            written += os.pwrite(descriptor, content[written:], offset + written)
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, offset)  # give the space back to the full disk: the write was incomplete
        raise
