"""The messages between a worker and its computation: sequences of blocks of rows.

An empty block ends each sequence. A row is a tuple of plain values. Between sequences, a text may name the kind of the
next one.
"""

import marshal
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, BinaryIO

LENGTH = struct.Struct("!I")
"""Precedes every block: the number of bytes that follow."""
ROWS = 1000
"""Most rows in a block."""

Row = tuple[Any, ...]


def pack(block: list[Row] | str) -> bytes:
    """Return the bytes of a message with a block or the name of a kind."""
    content = marshal.dumps(block)
    return LENGTH.pack(len(content)) + content


def unpack(content: bytes) -> Any:
    """Return the block that `pack` was given, from the bytes that follow its length."""
    return marshal.loads(content)  # noqa: S302 - the sender is this program, on the same Python


def split_into_blocks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield the rows in blocks; the last block is empty."""
    remaining = iter(rows)
    while block := list(islice(remaining, ROWS)):
        yield block
    yield []


def read_block(stream: BinaryIO) -> Any:
    """Return the next block or name; None at the end of the stream."""
    header = stream.read(LENGTH.size)
    return unpack(stream.read(LENGTH.unpack(header)[0])) if header else None


def read_rows(stream: BinaryIO) -> Iterator[Row]:
    """Yield all rows up to the empty block."""
    while block := read_block(stream):
        yield from block
