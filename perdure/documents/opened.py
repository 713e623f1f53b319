"""An open document: what the worker hands to the isolated parser, which may open nothing itself."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from perdure.errors import DocumentTooLarge, EmptyDocument
from perdure.sandbox.limits import MEGABYTE

_BLOCK_BYTES = MEGABYTE


@dataclass(frozen=True, slots=True)
class OpenedDocument:
    """A seekable descriptor of a document's bytes, and what was seen of them when it was opened.

    Whoever gets it closes it.
    """

    descriptor: int
    size_bytes: int
    version: str
    """In the form in which discovery gives it, so that the two can be compared."""

    def close(self) -> None:
        os.close(self.descriptor)


def too_large(size: int, max_bytes: int) -> DocumentTooLarge:
    """The refusal of a document of `size` bytes."""
    return DocumentTooLarge(
        f"The file has {-(-size // MEGABYTE)} MB, more than the limit of {max_bytes // MEGABYTE} MB."
    )


def spooled(pieces: Iterable[bytes], version: Callable[[], str], max_bytes: int) -> OpenedDocument:
    """The pieces in a temporary file that has no name and is gone with its descriptor; then its version is asked for.

    Raises:
        DocumentTooLarge: there are more bytes than `max_bytes`; the rest is never asked for.
        OSError: the disk is full, or what the pieces raise.
    """
    size = 0
    with tempfile.TemporaryFile() as file:
        for piece in pieces:
            size += len(piece)
            if size > max_bytes:
                raise too_large(size, max_bytes)
            file.write(piece)
        file.flush()
        return OpenedDocument(_for_reading(file.fileno()), size, version())


def _for_reading(descriptor: int) -> int:
    """The same file, open once more; on Linux so that it cannot be written to."""
    if sys.platform == "linux":
        return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    return os.dup(descriptor)


def content_of(descriptor: int, max_bytes: int) -> bytes:
    """All bytes, from the beginning, wherever the descriptor stands: it is shared between two tries.

    Raises:
        DocumentTooLarge: more than `max_bytes`.
        EmptyDocument: none.
        OSError: the disk fails.
    """
    content = bytearray()
    while len(content) <= max_bytes and (block := os.pread(descriptor, _BLOCK_BYTES, len(content))):
        content += block
    if len(content) > max_bytes:
        raise too_large(max(len(content), os.fstat(descriptor).st_size), max_bytes)
    if not content:
        raise EmptyDocument("The file is empty.")
    return bytes(content)
