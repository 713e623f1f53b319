"""An mbox file: each message is a document of its own, `mbox+file:///x.mbox!/12`, counted from 1.

Read line by line, in constant memory. A message begins at a line `From …` at the beginning or after an empty line;
what stands before the first one, or a message without a header, is still handed on as a document.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path

from perdure.documents.sources.member import BLOCK_BYTES, Member
from perdure.errors import VanishedDocument

_BEGIN = b"From "
_EMPTY = (b"\n", b"\r\n")


def mbox_members(path: Path) -> Iterator[Member]:
    """One a message, in order.

    Raises:
        OSError: the file cannot be read.
    """
    number = size = checksum = 0
    for found, line in _lines(path):
        if found != number:
            if size:
                yield _member(number, size, checksum)
            number, size, checksum = found, 0, 0
        size += len(line)
        checksum = zlib.crc32(line, checksum)
    if size:
        yield _member(number, size, checksum)


def mbox_content(path: Path, key: str) -> Iterator[bytes]:
    """The lines of one message, without the line that separates it from the one before.

    Raises:
        VanishedDocument: there is no such message any more.
    """
    there = False
    for found, line in _lines(path):
        if str(found) == key:
            there = True
            yield line
        elif there:
            return
    if not there:
        raise VanishedDocument("It was in the mailbox at discovery and is not there now.")


def _member(number: int, size: int, checksum: int) -> Member:
    return Member(str(number), f"{number}.eml", size, f"{size}-{checksum:08x}")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Each line, at most a block of it at a time, with the number of its message; separators are left out."""
    number, after_empty, whole = 0, True, True
    with path.open("rb") as file:
        while line := file.readline(BLOCK_BYTES):
            if whole and after_empty and line.startswith(_BEGIN):
                number += 1
            else:
                yield max(number, 1), line
            after_empty = whole and line in _EMPTY
            whole = line.endswith(b"\n")
