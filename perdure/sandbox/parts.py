"""Parts of a long document's result, so that a process that takes over from a killed one goes on where that one stood.

A part is a pure function of the document's bytes, as the whole is: with or without parts from before, the result is the
same to the last bit. Parts are told to whoever keeps them at most every half second, so a short document has none.
"""

import io
import pickle
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

SEND_EVERY_SECONDS = 0.5
MAX_KEPT_BYTES = 256 * 1024 * 1024
"""More of one document's parts are not kept: they would be computed again."""
_IN_MEMORY_BYTES = 4 * 1024 * 1024

Send = Callable[[str, bytes], None]
"""Takes what to say of the progress, and parts as bytes."""


class Parts:
    """What earlier processes had finished of one document, and the way for what this one finishes.

    Args:
        earlier: bytes as they were sent, one after another; of another content they are of no use, and not used.
        send: where to send parts; None keeps none.
    """

    def __init__(self, earlier: bytes = b"", send: Send | None = None) -> None:
        self._earlier = earlier
        self._send = send
        self._content = ""
        self._waiting: dict[str, list[Any]] = {}
        self._sent_at = time.monotonic()

    def begin(self, sha256: str) -> None:
        """Name the content that parts are of, and that they are wanted of."""
        self._content = sha256

    def of(self, kind: str) -> list[Any]:
        """What is finished already of this kind, in the order in which it was added."""
        found: list[Any] = []
        file = io.BytesIO(self._earlier)
        while file.tell() < len(self._earlier):
            content, parts = pickle.load(file)  # noqa: S301 - from a process of our own
            if content == self._content:
                found += parts.get(kind, ())
        return found

    def add(self, kind: str, part: Any, said: str) -> None:
        """Something more is finished; `said` tells people how far the document is by now."""
        if self._send is None:
            return
        self._waiting.setdefault(kind, []).append(part)
        if time.monotonic() - self._sent_at >= SEND_EVERY_SECONDS:
            self._send(said, pickle.dumps((self._content, self._waiting), pickle.HIGHEST_PROTOCOL))
            self._waiting = {}
            self._sent_at = time.monotonic()


_current: ContextVar[Parts | None] = ContextVar("parts", default=None)


@contextmanager
def kept(parts: Parts) -> Iterator[None]:
    """Have whatever is processed within go on from these parts, and add to them."""
    token = _current.set(parts)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Parts:
    """Those of the document being processed; without a keeper, parts that nobody keeps."""
    return _current.get() or Parts()


class KeptParts:
    """Parts of one document in the parent: in memory while they are few, then in a file that has no name."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - closed by `close`
        self._size = 0

    def add(self, parts: bytes) -> None:
        """Keep them, unless there are too many already."""
        if self._size + len(parts) <= MAX_KEPT_BYTES:
            self._file.write(parts)
            self._size += len(parts)

    def all(self) -> bytes:
        """Everything kept, for the next process."""
        self._file.seek(0)
        return self._file.read()

    def close(self) -> None:
        """Let go of it."""
        self._file.close()
