"""How a worker and its subprocess talk: blocks of rows, each run of them ended by an empty one.

Only plain tuples travel, a block at a time; between runs of them a string may say what the next is about.
"""

import marshal
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, BinaryIO

LENGTH = struct.Struct("!I")
"""Goes before every block: how many bytes follow."""
ROWS = 1000
"""Rows of a block."""

Row = tuple[Any, ...]


def packed(rows: list[Row] | str) -> bytes:
    """One block, or what the next run is about, as it travels."""
    content = marshal.dumps(rows)
    return LENGTH.pack(len(content)) + content


def unpacked(content: bytes) -> Any:
    """The inverse of `packed`, without the length."""
    return marshal.loads(content)  # noqa: S302 - between a process and its own child, of one Python


def blocks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows in blocks, the last of them empty."""
    waiting = iter(rows)
    while block := list(islice(waiting, ROWS)):
        yield block
    yield []


def read(stream: BinaryIO) -> Any:
    """The next block, None at the end of the stream."""
    header = stream.read(LENGTH.size)
    return unpacked(stream.read(LENGTH.unpack(header)[0])) if header else None


def read_rows(stream: BinaryIO) -> Iterator[Row]:
    """All rows up to the empty block."""
    while block := read(stream):
        yield from block
