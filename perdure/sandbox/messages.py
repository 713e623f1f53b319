"""The messages between the pool and a child.

A message is a kind, a length in bytes, and that many bytes of content. For each request, a child sends any number of
`PARTS`, then one `ANSWER` or one `FAILURE`. This module never unpickles what a child sends, since a hostile document
may have taken over the child.
"""

import json
import struct

from perdure import errors
from perdure.errors import DependencyUnavailable, DocumentError

HEADER = struct.Struct("!cQ")
"""Kind and length of the content. The pool sends the document's descriptor with the header of a request."""
REQUEST = b"R"
"""From the pool: read a document."""
PARTS = b"P"
"""From a child: finished parts and a progress text."""
ANSWER = b"A"
"""From a child: the parser's answer, as the codec of the job encodes it."""
FAILURE = b"F"
"""From a child: the error that the document ends with."""

Failure = DocumentError | DependencyUnavailable
_PROGRESS_LENGTH = struct.Struct("!I")


def frame(kind: bytes, content: bytes) -> bytes:
    """Return the bytes of a message: the header and the content."""
    return HEADER.pack(kind, len(content)) + content


def encode_parts(progress: str, parts: bytes) -> bytes:
    """Return the content of a `PARTS` message: a progress text for users, and finished parts."""
    text = progress.encode(errors="replace")
    return _PROGRESS_LENGTH.pack(len(text)) + text + parts


def decode_parts(content: bytes | bytearray) -> tuple[str, bytes]:
    """Return progress text and parts.

    Raises:
        ValueError: the text is not UTF-8, or shorter than its length says.
        struct.error: the content is shorter than a length field.
    """
    start = _PROGRESS_LENGTH.size
    end = start + _PROGRESS_LENGTH.unpack_from(content)[0]
    if end > len(content):
        raise ValueError("The progress text is cut off.")
    return content[start:end].decode(), bytes(content[end:])


def encode_failure(failure: Failure) -> bytes:
    """Return the content of a `FAILURE` message: class name and arguments, as JSON."""
    arguments = [failure.dependency, failure.why] if isinstance(failure, DependencyUnavailable) else [str(failure)]
    return json.dumps([type(failure).__name__, *arguments]).encode()


def decode_failure(content: bytes | bytearray) -> Failure:
    """Return the error that a `FAILURE` message describes.

    Raises:
        ValueError: the content names no `DocumentError` and no `DependencyUnavailable`, or is not JSON.
        TypeError: the arguments are not those of the error.
    """
    name, *arguments = json.loads(content)
    kind = getattr(errors, name)
    if not (isinstance(kind, type) and issubclass(kind, Failure) and all(isinstance(text, str) for text in arguments)):
        raise ValueError(f"{name} is no failure of a parser.")
    failure: Failure = kind(*arguments)
    return failure
