"""Reads the directory of Microsoft compound files: DOC, XLS, PPT, MSG, encrypted OOXML.

The module reads only what the recognition of formats needs, after [MS-CFB]: the directory, and the first bytes of a
stream. An embedded object has a separate storage, so a mail with a Word attachment is still recognised as a mail.
At the first damage the reader stops, and keeps the entries that it has read.
"""

import struct
from dataclasses import dataclass

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HEADER = struct.Struct("<16x8x2x2x2xHH6x4xIIIIIIIII")
_HEADER_BYTES = 512
_ENTRY_BYTES = 128
_STREAM = 2
_ROOT = 5
_LAST_SECTOR = 0xFFFFFFF9
_FAT_IN_HEADER = 109
_MAX_ENTRIES = 100_000
_MAX_SECTOR_SHIFT = 16


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the directory."""

    name: str
    kind: int
    """2 for a stream, 5 for the root."""
    left: int
    """Index of the entry on the left in the tree of its storage."""
    right: int
    """Index of the entry on the right."""
    child: int
    """Index of the top of a storage's own tree."""
    start: int
    """Number of the first sector."""
    size: int
    """The size of the stream, in bytes."""


class CompoundFile:
    """The directory of a compound file; empty if it cannot be read.

    Args:
        content: the whole file.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._entries: list[Entry] = []
        self._fat: list[int] = []
        try:
            self._read()
        except (struct.error, IndexError):
            return  # The file is cut off or damaged; the entries read so far are kept.

    def _read(self) -> None:
        (shift, mini_shift, _, directory, _, self._cutoff, mini_fat, _, difat, _, first) = _HEADER.unpack_from(
            self._content, 0
        )
        if not 7 <= shift <= _MAX_SECTOR_SHIFT:  # noqa: PLR2004 - a sector holds at least one entry
            return
        self._sector = 1 << shift
        self._mini_sector = 1 << min(mini_shift, shift)
        fat_sectors = [first, *struct.unpack_from(f"<{_FAT_IN_HEADER - 1}I", self._content, 80)]
        seen = 0
        while difat < _LAST_SECTOR and seen * self._sector < len(self._content):
            *more, difat = struct.unpack(f"<{self._sector // 4}I", self._read_sector(difat))
            fat_sectors += more
            seen += 1
        for sector in fat_sectors:
            if sector < _LAST_SECTOR and len(block := self._read_sector(sector)) == self._sector:
                self._fat += struct.unpack(f"<{self._sector // 4}I", block)
        block = self._read_chain(directory, _MAX_ENTRIES * _ENTRY_BYTES)
        for offset in range(0, len(block) - _ENTRY_BYTES + 1, _ENTRY_BYTES):
            self._entries.append(_parse_entry(block[offset : offset + _ENTRY_BYTES]))
        mini = self._read_chain(mini_fat, len(self._content))
        self._mini_fat = struct.unpack(f"<{len(mini) // 4}I", mini[: len(mini) // 4 * 4])

    def streams(self) -> dict[str, Entry]:
        """Return the streams and storages of the top level by lower-case name."""
        root = next((entry for entry in self._entries if entry.kind == _ROOT), None)
        entries: dict[str, Entry] = {}
        waiting = [root.child] if root else []
        seen: set[int] = set()
        while waiting:
            index = waiting.pop()
            if index >= len(self._entries) or index in seen:
                continue
            seen.add(index)
            entry = self._entries[index]
            entries[entry.name.lower()] = entry
            waiting += [entry.left, entry.right]
        return entries

    def head(self, name: str, count: int) -> bytes:
        """Return the first `count` bytes of a stream; fewer if it is shorter or damaged."""
        entry = self.streams().get(name.lower())
        if entry is None or entry.kind != _STREAM:
            return b""
        count = min(count, entry.size)
        if entry.size >= self._cutoff:
            return self._read_chain(entry.start, count)[:count]
        root = next(candidate for candidate in self._entries if candidate.kind == _ROOT)
        pool = self._read_chain(root.start, len(self._content))
        out = b""
        sector = entry.start
        for _ in range(-(-count // self._mini_sector)):
            out += pool[sector * self._mini_sector : (sector + 1) * self._mini_sector]
            if sector >= len(self._mini_fat):
                break
            sector = self._mini_fat[sector]
        return out[:count]

    def padded(self) -> bytes:
        """Return the file, extended to the length in its allocation table.

        Some writers omit the last sectors.
        """
        missing = (len(self._fat) + 1) * getattr(self, "_sector", 0) - len(self._content)
        return self._content + bytes(max(0, missing))

    def _read_sector(self, sector: int) -> bytes:
        start = (sector + 1) * self._sector
        return self._content[start : start + self._sector]

    def _read_chain(self, sector: int, count: int) -> bytes:
        blocks: list[bytes] = []
        while sector < len(self._fat) and len(blocks) * self._sector < min(count, len(self._content)):
            blocks.append(self._read_sector(sector))
            sector = self._fat[sector]
        return b"".join(blocks)


def _parse_entry(raw: bytes) -> Entry:
    length, kind = struct.unpack_from("<HB", raw, 64)
    left, right, child = struct.unpack_from("<III", raw, 68)
    start, size = struct.unpack_from("<II", raw, 116)
    name = raw[: max(0, min(length, 64) - 2)].decode("utf-16-le", "replace")
    return Entry(name, kind, left, right, child, start, size)
