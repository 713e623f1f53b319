"""An open document, as the worker hands it to the confined parser, which may open nothing."""

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
    """A seekable descriptor of a document's bytes, with their size and version.

    The function that receives an opened document closes it.
    """

    descriptor: int
    size_bytes: int
    version: str
    """The version, in the form that discovery uses, so that both versions can be compared."""

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.descriptor)


def size_refusal(size: int, max_bytes: int) -> DocumentTooLarge:
    """Return the error that refuses a document of `size` bytes."""
    return DocumentTooLarge(
        f"The file has {-(-size // MEGABYTE)} MB, more than the limit of {max_bytes // MEGABYTE} MB."
    )


def spool(pieces: Iterable[bytes], version: Callable[[], str], max_bytes: int) -> OpenedDocument:
    """Write a document to a temporary file without a name, and return it open.

    The file ends with its descriptor.

    Args:
        pieces: pieces of the document's bytes.
        version: returns the document's version; called after the last piece.
        max_bytes: a larger document is refused, and its further pieces are not requested.

    Raises:
        DocumentTooLarge: there are more bytes than `max_bytes`.
        OSError: the disk is full, or reading a piece failed.
    """
    size = 0
    with tempfile.TemporaryFile() as file:
        for piece in pieces:
            size += len(piece)
            if size > max_bytes:
                raise size_refusal(size, max_bytes)
            file.write(piece)
        file.flush()
        return OpenedDocument(_reopen_for_reading(file.fileno()), size, version())


def _reopen_for_reading(descriptor: int) -> int:
    """Return a second descriptor of the same file; on Linux one that cannot write."""
    if sys.platform == "linux":
        return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    return os.dup(descriptor)


def content_of(descriptor: int, max_bytes: int) -> bytes:
    """Return all bytes from the beginning, whatever the position of the descriptor.

    Two attempts share the descriptor and its position.

    Args:
        descriptor: descriptor of the file.
        max_bytes: a larger file is refused.

    Raises:
        DocumentTooLarge: there are more bytes than `max_bytes`.
        EmptyDocument: the file has no bytes.
        OSError: the disk fails.
    """
    content = bytearray()
    while len(content) <= max_bytes and (block := os.pread(descriptor, _BLOCK_BYTES, len(content))):
        content += block
    if len(content) > max_bytes:
        raise size_refusal(max(len(content), os.fstat(descriptor).st_size), max_bytes)
    if not content:
        raise EmptyDocument("The file is empty.")
    return bytes(content)
