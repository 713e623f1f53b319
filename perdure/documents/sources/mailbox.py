"""An mbox file: each message is a document of its own, `mbox+file:///x.mbox!/12`, counted from 1.

Read line by line, in constant memory. A message begins at a line `From …` at the beginning or after an empty line;
what stands before the first one, or a message without a header, is still handed on as a document.
"""

import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from perdure.documents.sources.member import BLOCK_BYTES, Content, Member
from perdure.errors import VanishedDocument

MAX_REMEMBERED = 1_000_000
"""Places of messages in memory, eight bytes each; of a larger mailbox every second one, or fourth, and so on."""
_BEGIN = b"From "
_EMPTY = (b"\n", b"\r\n")


def mbox_members(_: Path, file: BinaryIO) -> Iterator[Member]:
    """One a message, in order.

    Raises:
        OSError: the file cannot be read.
    """
    number = size = checksum = 0
    for found, _at, line in _lines(file, 0, 0):
        if found != number:
            if size:
                yield _member(number, size, checksum)
            number, size, checksum = found, 0, 0
        if line:
            size += len(line)
            checksum = zlib.crc32(line, checksum)
    if size:
        yield _member(number, size, checksum)


class MailboxIndex:
    """Where messages begin, found in one pass; memory is bounded by leaving some out."""

    def __init__(self, _: Path, file: BinaryIO) -> None:
        self._stride = 1
        self._places = array("q", [0])
        for number, at, line in _lines(file, 0, 0):
            if line is None and number == len(self._places) * self._stride + 1:
                self._places.append(at)
                if len(self._places) > MAX_REMEMBERED:
                    self._places = self._places[::2]
                    self._stride *= 2

    def content(self, file: BinaryIO, key: str) -> Content:
        """The lines of one message, without the line that separates it from the one before.

        Raises:
            VanishedDocument: there is no such message any more; raised by the pieces.
        """
        wanted = int(key) if key.isascii() and key.isdigit() and len(key) < 20 else 0  # noqa: PLR2004 - digits of 64 bits
        step = min(max(0, wanted - 1) // self._stride, len(self._places) - 1)
        seen = [0, 0]
        lines = _lines(file, step * self._stride, self._places[step])
        return Content(_message(lines, wanted, seen), lambda: _version(*seen))


def _message(lines: Iterator[tuple[int, int, bytes | None]], wanted: int, seen: list[int]) -> Iterator[bytes]:
    for found, _at, line in lines:
        if found > wanted:
            break
        if found == wanted and line:
            seen[:] = seen[0] + len(line), zlib.crc32(line, seen[1])
            yield line
    if not seen[0]:
        raise VanishedDocument("It was in the mailbox at discovery and is not there now.")


def _member(number: int, size: int, checksum: int) -> Member:
    return Member(str(number), f"{number}.eml", size, _version(size, checksum))


def _version(size: int, checksum: int) -> str:
    return f"{size}-{checksum:08x}"


def _lines(file: BinaryIO, number: int, at: int) -> Iterator[tuple[int, int, bytes | None]]:
    """Each line, at most a block of it at a time, with the number of its message and its place; None separates.

    Begins at the separator after message `number`.
    """
    after_empty = whole = True
    file.seek(at)
    while line := file.readline(BLOCK_BYTES):
        if whole and after_empty and line.startswith(_BEGIN):
            number += 1
            yield number, at, None
        else:
            yield max(number, 1), at, line
        after_empty = whole and line in _EMPTY
        whole = line.endswith(b"\n")
        at += len(line)
