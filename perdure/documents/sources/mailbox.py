"""Mailboxes (mbox): each message is a document, `mbox+file:///x.mbox!/12`, counted from 1.

A mailbox is read line by line, in constant memory. A message begins at a line `From …` that is the first line of the
file or follows an empty line. Lines before the first message, and a message without a header, are documents as well.
"""

import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from perdure.documents.sources.container import ContainerSource
from perdure.documents.sources.member import BLOCK_BYTES, Content, Member
from perdure.errors import VanishedDocument

MAX_REMEMBERED = 1_000_000
"""Most offsets in memory, 8 bytes each. For a larger mailbox, the index holds every second, fourth, … offset only."""
_BEGIN = b"From "
_EMPTY = (b"\n", b"\r\n")


class MailboxSource(ContainerSource):
    """A message of a mailbox; implements `Source` and `Container`."""

    scheme = "mbox+"
    suffixes = (".mbox",)

    def list_members(self, path: Path, file: BinaryIO) -> Iterator[Member]:  # noqa: ARG002 - a mailbox needs no name
        """Yield one member a message, in order.

        Raises:
            OSError: the file cannot be read.
        """
        number = size = checksum = 0
        for message, _offset, line in _number_lines(file, 0, 0):
            if message != number:
                if size:
                    yield _make_member(number, size, checksum)
                number = message
                size = checksum = 0
            if line:
                size += len(line)
                checksum = zlib.crc32(line, checksum)
        if size:
            yield _make_member(number, size, checksum)

    def build_index(self, path: Path, file: BinaryIO) -> "MailboxIndex":  # noqa: ARG002 - a mailbox needs no name
        """Return the places of the messages; raises `OSError` if the file cannot be read."""
        return MailboxIndex(file)


class MailboxIndex:
    """The offsets of messages, found in one pass; some offsets are left out to bound the memory.

    Args:
        file: the mailbox, open.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._stride = 1
        self._offsets = array("q", [0])
        for number, offset, line in _number_lines(file, 0, 0):
            if line is None and number == len(self._offsets) * self._stride + 1:
                self._offsets.append(offset)
                if len(self._offsets) > MAX_REMEMBERED:
                    self._offsets = self._offsets[::2]
                    self._stride *= 2

    def content(self, file: BinaryIO, key: str) -> Content:
        """Return the lines of one message, without the line `From …` before the message.

        Raises:
            VanishedDocument: the mailbox has no message of this number; raised by the pieces.
        """
        wanted = int(key) if key.isascii() and key.isdigit() and len(key) < 20 else 0  # noqa: PLR2004 - digits of 64 bits
        step = min(max(0, wanted - 1) // self._stride, len(self._offsets) - 1)
        message = _Message(wanted)
        lines = _number_lines(file, step * self._stride, self._offsets[step])
        return Content(message.pieces(lines), message.version)


class _Message:
    """Reads a message, and computes its size and checksum at the same time."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._size = 0
        self._checksum = 0

    def version(self) -> str:
        """Return the version of the lines that were read."""
        return _make_version(self._size, self._checksum)

    def pieces(self, lines: Iterator[tuple[int, int, bytes | None]]) -> Iterator[bytes]:
        """Yield the lines of the message; raise `VanishedDocument` if it has none."""
        for number, _offset, line in lines:
            if number > self._number:
                break
            if number == self._number and line:
                self._size += len(line)
                self._checksum = zlib.crc32(line, self._checksum)
                yield line
        if not self._size:
            raise VanishedDocument("It was in the mailbox at discovery and is not there now.")


def _make_member(number: int, size: int, checksum: int) -> Member:
    return Member(str(number), f"{number}.eml", size, _make_version(size, checksum))


def _make_version(size: int, checksum: int) -> str:
    return f"{size}-{checksum:08x}"


def _number_lines(file: BinaryIO, number: int, offset: int) -> Iterator[tuple[int, int, bytes | None]]:
    """Yield, for each line, the number of its message, its offset and its bytes.

    None stands for the bytes of a line that separates messages. A long line is yielded in blocks.

    Args:
        file: the mailbox.
        number: number of the message that ends at the offset.
        offset: offset of the separating line at which to begin.
    """
    after_empty = whole = True
    file.seek(offset)
    while line := file.readline(BLOCK_BYTES):
        if whole and after_empty and line.startswith(_BEGIN):
            number += 1
            yield number, offset, None
        else:
            yield max(number, 1), offset, line
        after_empty = whole and line in _EMPTY
        whole = line.endswith(b"\n")
        offset += len(line)
