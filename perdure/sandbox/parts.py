"""Finished parts of a long document, after which a later child continues.

A part is a pure function of the document's bytes, as the whole result is. So the result is the same to the last bit,
with and without parts from earlier processes. A child sends parts at most every half second, so a short document has
none. Parts hold plain values only: no class is loaded from them.
"""

import io
import pickle
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

from perdure.sandbox.limits import MEGABYTE

SEND_EVERY_SECONDS = 0.5
MAX_KEPT_BYTES = 256 * MEGABYTE
"""Most bytes of parts kept for one document. Further parts are dropped, and a later process computes them again."""
_IN_MEMORY_BYTES = 4 * MEGABYTE

Send = Callable[[str, bytes], None]
"""Takes a progress text for users, and the parts that were finished since the last call, as bytes."""


class _PlainUnpickler(pickle.Unpickler):
    """Loads numbers, texts, bytes and collections of them; refuses classes and functions."""

    def find_class(self, module: str, name: str) -> NoReturn:
        """Refuse a class or function.

        Raises:
            pickle.UnpicklingError: always.
        """
        raise pickle.UnpicklingError(f"Parts may not hold {module}.{name}.")


class Parts:
    """The finished parts of one document, of earlier processes and of this one.

    Args:
        earlier: parts as they were sent, one after another. Parts of other content are skipped.
        send: receives new parts; None drops them.
    """

    def __init__(self, earlier: bytes = b"", send: Send | None = None) -> None:
        self._earlier = earlier
        self._send = send
        self._content = ""
        self._unsent: dict[str, list[Any]] = {}
        self._sent_at = time.monotonic()

    def begin(self, content: str) -> None:
        """Name the content that the parts belong to, such as by its hash.

        Call this before `of` and `add`.
        """
        self._content = content

    def of(self, kind: str) -> list[Any]:
        """Return the parts of a kind that earlier processes finished, in the order of their `add`.

        Parts after the first unreadable one are left out. Release 0.3.0 stored parts that hold classes, so stored
        parts may be permanently unreadable; the process computes the parts again.
        """
        finished: list[Any] = []
        file = io.BytesIO(self._earlier)
        while file.tell() < len(self._earlier):
            try:
                content, parts = _PlainUnpickler(file).load()
                if content == self._content:
                    finished += parts.get(kind, ())
            except Exception:  # noqa: BLE001 - damaged bytes can make `pickle` raise any exception
                break
        return finished

    def add(self, kind: str, part: Any, progress: str) -> None:
        """Add a finished part, and send the parts that are due.

        Args:
            kind: names the stage that made the part.
            part: plain values only.
            progress: tells users how far the document is.
        """
        if self._send is None:
            return
        self._unsent.setdefault(kind, []).append(part)
        if time.monotonic() - self._sent_at >= SEND_EVERY_SECONDS:
            self._send(progress, pickle.dumps((self._content, self._unsent), pickle.HIGHEST_PROTOCOL))
            self._unsent = {}
            self._sent_at = time.monotonic()


_current: ContextVar[Parts | None] = ContextVar("parts", default=None)


@contextmanager
def use_parts(parts: Parts) -> Iterator[None]:
    """Make `current_parts` return these parts within the body."""
    token = _current.set(parts)
    try:
        yield
    finally:
        _current.reset(token)


def current_parts() -> Parts:
    """Return the parts of the document that is being processed.

    Outside `use_parts`, the returned object has no earlier parts and drops new parts.
    """
    return _current.get() or Parts()


class KeptParts:
    """The parts of one document in the pool's process, in memory or in an unnamed file."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - `close` closes it
        self._size = 0

    def add(self, parts: bytes) -> None:
        """Keep these parts, unless the document would have more than `MAX_KEPT_BYTES` of them."""
        if self._size + len(parts) <= MAX_KEPT_BYTES:
            self._file.write(parts)
            self._size += len(parts)

    def read_all(self) -> bytes:
        """Return all parts, for the next child."""
        self._file.seek(0)
        return self._file.read()

    def close(self) -> None:
        """Drop the parts."""
        self._file.close()
