"""What a parser may do to its process; imported by the pool's children, chosen by the document's name."""

import ctypes
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from perdure.documents.document import EMBEDDING_DIMENSIONS, ProcessedDocument
from perdure.errors import DependencyUnavailable, EncryptedDocument
from perdure.sandbox.limits import AllowCpu, Limits


def misbehave(uri: str, name: str, descriptor: int, limits: Limits, allow_cpu: AllowCpu) -> ProcessedDocument:
    """Do what the document's name says; anything else is processed, its text being this process's id."""
    allow_cpu(limits.extraction_cpu_seconds)
    action = _ACTIONS.get(name.partition(" ")[0])
    if action:
        action(uri)
    return _document(text=str(os.getpid()), name=name, content_bytes=os.fstat(descriptor).st_size)


def _document(text: str, name: str, content_bytes: int) -> ProcessedDocument:
    return ProcessedDocument(
        sha256="0" * 64,
        size_bytes=len(text),
        media_type="text/plain",
        text=text,
        title=name,
        page_offsets=(),
        properties={"content_bytes": content_bytes},
        chunks=(),
        embeddings=np.zeros((0, EMBEDDING_DIMENSIONS), np.float32),
        mentions=(),
        quality_score=1.0,
    )


def _segfault(_: str) -> None:
    ctypes.memset(0, 1, 1)


def _spin(_: str) -> None:
    while True:
        pass


def _bloat(_: str) -> None:
    kept = []
    while True:
        kept.append(bytearray(16 * 1024 * 1024))


def _native_bloat(_: str) -> None:
    os.write(2, b"memory allocation of 1073741824 bytes failed\n")
    os.abort()


def _corrupt(_: str) -> None:
    os.write(2, b"free(): invalid pointer\n")
    os.abort()


def _raise_key_error(_: str) -> None:
    raise KeyError("/tmp/secret")


def _encrypted(_: str) -> None:
    raise EncryptedDocument("The document is protected by a password.")


def _disk(_: str) -> None:
    raise DependencyUnavailable("the source /data", "input/output error")


def _first_time_only(uri: str) -> None:
    """Die the first time, leave a mark, and succeed ever after."""
    mark = Path(uri.removeprefix("file://"))
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def _note(uri: str) -> None:
    """Write this process's id into the file that the URI names, then wait for ever."""
    Path(uri.removeprefix("file://")).write_text(str(os.getpid()))
    time.sleep(3600)


def _close_everything(_: str) -> None:
    os.closerange(3, 64)
    time.sleep(3600)


def _work(_: str, seconds: float = 2.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def _nap(uri: str) -> None:
    """Sleep for long altogether, and never for long at once."""
    for _ in range(4):
        time.sleep(0.5)
        _work(uri, 0.05)


_ACTIONS: dict[str, Callable[[str], object]] = {
    "segfault": _segfault,
    "spin": _spin,
    "sleep": lambda _: time.sleep(3600),
    "bloat": _bloat,
    "native-bloat": _native_bloat,
    "corrupt": _corrupt,
    "exit": lambda _: os._exit(7),
    "key-error": _raise_key_error,
    "encrypted": _encrypted,
    "disk": _disk,
    "first-time-only": _first_time_only,
    "note": _note,
    "close": _close_everything,
    "naps": _nap,
    "works": _work,
    "slowly": lambda _: time.sleep(0.5),
}
