"""A model of a disk with a cache: what a folder may hold after a power loss at any moment.

The model promises no more than POSIX does. A sync of a file keeps the content of that file. A sync of a folder keeps
the names in that folder. Each other operation may be lost on its own, and of a write either half may be lost.
"""

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

ROOT = 0
"""Number of the recorded folder; every other file and folder has a number of its own, which no later one gets."""
MAX_COMBINATIONS = 300
"""Most combinations of lost operations that are tried at one moment; beyond it, each operation is varied on its own."""


@dataclass(frozen=True)
class Write:
    """Bytes that were stored in a file from an offset on."""

    target: int
    offset: int
    content: bytes


@dataclass(frozen=True)
class Truncate:
    """A file that was cut to a size in bytes."""

    target: int
    size: int


@dataclass(frozen=True)
class Rename:
    """Names of a folder that changed in one step, each with its file's number; None if deleted."""

    target: int
    entries: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True)
class Sync:
    """An fsync of a file or folder."""

    target: int


Operation = Write | Truncate | Rename | Sync


class Fate(Enum):
    """What a power loss does to one operation that was not synced."""

    KEPT = auto()
    LOST = auto()
    FIRST_HALF = auto()
    LAST_HALF = auto()


@dataclass
class Disk:
    """The content of every file, and the names in every folder, by number."""

    files: dict[int, bytes]
    folders: dict[int, dict[str, int]]

    def copy(self) -> "Disk":
        """Return a disk that changes independently."""
        return Disk(dict(self.files), {number: dict(names) for number, names in self.folders.items()})

    def apply(self, operation: Operation, fate: Fate) -> None:
        """Carry out an operation, or the part of it that a power loss leaves."""
        if fate is Fate.LOST or isinstance(operation, Sync):
            return
        if isinstance(operation, Rename):
            names = self.folders.setdefault(operation.target, {})
            for name, number in operation.entries:
                names.pop(name, None)
                if number is not None:
                    names[name] = number
        elif isinstance(operation, Truncate):
            before = self.files.get(operation.target, b"")
            self.files[operation.target] = before[: operation.size].ljust(operation.size, b"\0")
        else:
            self._write(operation, fate)

    def _write(self, operation: Write, fate: Fate) -> None:
        offset, content = operation.offset, operation.content
        half = len(content) // 2
        if fate is Fate.FIRST_HALF:
            content = content[:half]
        elif fate is Fate.LAST_HALF:
            offset, content = offset + half, content[half:]
        before = self.files.get(operation.target, b"").ljust(offset, b"\0")
        self.files[operation.target] = before[:offset] + content + before[offset + len(content) :]

    def build(self, folder: Path, number: int = ROOT) -> None:
        """Create the files and folders under a new folder; two names of one file become hard links."""
        self._build(folder, number, {})

    def _build(self, folder: Path, number: int, created: dict[int, Path]) -> None:
        folder.mkdir()
        for name, entry in self.folders.get(number, {}).items():
            path = folder / name
            if entry in self.folders:
                self._build(path, entry, created)
            elif entry in created:
                os.link(created[entry], path)
            else:
                path.write_bytes(self.files.get(entry, b""))
                created[entry] = path

    def list_content(self, number: int = ROOT, prefix: str = "") -> list[tuple[str, int, bytes | None]]:
        """Return path, number and content of all entries below a folder, sorted.

        Folders have no content.
        """
        listed: list[tuple[str, int, bytes | None]] = []
        for name, entry in sorted(self.folders.get(number, {}).items()):
            if entry in self.folders:
                listed += [(prefix + name, entry, None), *self.list_content(entry, f"{prefix}{name}/")]
            else:
                listed.append((prefix + name, entry, self.files.get(entry, b"")))
        return listed


def list_fates(operation: Operation) -> tuple[Fate, ...]:
    """Return what can become of an operation that was not synced."""
    if isinstance(operation, Write) and len(operation.content) > 1:
        return tuple(Fate)
    return (Fate.KEPT, Fate.LOST)


def find_unsynced(operations: Sequence[Operation]) -> list[int]:
    """Return the positions of the operations that no later sync makes durable."""
    unsynced: list[int] = []
    for position, operation in enumerate(operations):
        if isinstance(operation, Sync):
            unsynced = [earlier for earlier in unsynced if operations[earlier].target != operation.target]
        else:
            unsynced.append(position)
    return unsynced


def combine_fates(operations: Sequence[Operation], unsynced: Sequence[int]) -> Iterator[Mapping[int, Fate]]:
    """Yield combinations of fates of the unsynced operations: all of them if they are few."""
    choices = [list_fates(operations[position]) for position in unsynced]
    total = 1
    for choice in choices:
        total *= len(choice)
    if total <= MAX_COMBINATIONS:
        for fates in itertools.product(*choices):
            yield dict(zip(unsynced, fates, strict=True))
        return
    for kept in range(len(unsynced) + 1):  # the earlier ones are kept, the later ones lost
        base = {position: Fate.KEPT if n < kept else Fate.LOST for n, position in enumerate(unsynced)}
        yield base
        for position, choice in zip(unsynced, choices, strict=True):
            for fate in choice:
                yield {**base, position: fate}


def lose_power(start: Disk, operations: Sequence[Operation]) -> Iterator[Disk]:
    """Yield every disk that a power loss right after these operations can leave, each once."""
    seen: set[tuple[tuple[str, int, bytes | None], ...]] = set()
    for fates in combine_fates(operations, find_unsynced(operations)):
        disk = start.copy()
        for position, operation in enumerate(operations):
            disk.apply(operation, fates.get(position, Fate.KEPT))
        key = tuple(disk.list_content())
        if key not in seen:
            seen.add(key)
            yield disk
