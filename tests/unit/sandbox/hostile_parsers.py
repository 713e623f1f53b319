"""Parsers that harm their own process; the document's name selects the harm.

The children of a pool import this module.
"""

import ctypes
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from perdure.errors import DependencyUnavailable, EncryptedDocument
from perdure.sandbox.job import AllowCpu


def misbehave(cpu_seconds: float, uri: str, name: str, descriptor: int, allow_cpu: AllowCpu) -> str:
    """Do what the document's name says; then return the process id."""
    allow_cpu(cpu_seconds)
    assert os.pread(descriptor, 4096, 0).startswith(uri.encode())
    action = _ACTIONS.get(name.partition(" ")[0])
    if action:
        action(uri)
    return str(os.getpid())


def _segfault(_: str) -> None:
    ctypes.memset(0, 1, 1)


def _spin(_: str) -> None:
    while True:
        pass


def _bloat(_: str) -> None:
    hoard = []
    while True:
        hoard.append(bytearray(16 * 1024 * 1024))


def _native_bloat(_: str) -> None:
    os.write(2, b"memory allocation of 1073741824 bytes failed\n")
    os.abort()


def _corrupt(_: str) -> None:
    os.write(2, b"free(): invalid pointer\n")
    os.abort()


def _complain(_: str) -> None:
    """Write to standard error, as libraries do, and succeed."""
    os.write(2, b"out of memory, trying again\n")


def _raise_key_error(_: str) -> None:
    raise KeyError("/tmp/secret")


def _encrypted(_: str) -> None:
    raise EncryptedDocument("The document is protected by a password.")


def _disk(_: str) -> None:
    raise DependencyUnavailable("the source /data", "input/output error")


def _killed_once(uri: str) -> None:
    """Die at the first attempt, leave a mark, and succeed at every later attempt."""
    mark = Path(uri.removeprefix("file://"))
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def _note(uri: str) -> None:
    """Write the process id into the file that the URI names, then sleep."""
    Path(uri.removeprefix("file://")).write_text(str(os.getpid()))
    time.sleep(3600)


def _close_everything(_: str) -> None:
    os.closerange(3, 64)
    time.sleep(3600)


_ACTIONS: dict[str, Callable[[str], object]] = {
    "segfault": _segfault,
    "spin": _spin,
    "sleep": lambda _: time.sleep(3600),
    "bloat": _bloat,
    "native-bloat": _native_bloat,
    "corrupt": _corrupt,
    "complain": _complain,
    "exit": lambda _: os._exit(7),
    "key-error": _raise_key_error,
    "encrypted": _encrypted,
    "disk": _disk,
    "killed-once": _killed_once,
    "note": _note,
    "close": _close_everything,
    "briefly": lambda _: time.sleep(0.1),
    "slowly": lambda _: time.sleep(0.5),
}
