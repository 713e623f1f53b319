"""What a parser that was taken over might try; imported by the pool's children, chosen by the document's name."""

import ctypes
import os
import pickle
import resource
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from perdure.documents.document import EMBEDDING_DIMENSIONS, ProcessedDocument
from perdure.sandbox.child import LENGTH
from perdure.sandbox.limits import AllowCpu, Limits
from tests.session_reaper import MARK as SESSION


def attempt(uri: str, name: str, descriptor: int, limits: Limits, allow_cpu: AllowCpu) -> ProcessedDocument:
    """Try what the document's name says; its text is what came of it: a result, or the name of the error."""
    allow_cpu(limits.extraction_cpu_seconds)
    if name in ANSWERS:
        _answer_by_itself(name)
    action, _, argument = name.partition(" ")
    try:
        text = f"did it: {ATTEMPTS[action](argument)}"
    except OSError as error:
        text = type(error).__name__
    except ValueError as error:
        text = str(error)
    return ProcessedDocument(
        sha256="0" * 64,
        size_bytes=0,
        media_type="text/plain",
        text=text,
        title=uri,
        page_offsets=(),
        properties={"descriptor": descriptor},
        chunks=(),
        embeddings=np.zeros((0, EMBEDDING_DIMENSIONS), np.float32),
        mentions=(),
        quality_score=1.0,
    )


def _thread(_: str) -> int:
    said: list[int] = []
    thread = threading.Thread(target=said.append, args=(1,))
    thread.start()
    thread.join()
    return len(said)


def _system_call(number: str) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    answer = int(library.syscall(int(number), 0, 0, 0, 0, 0))
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer


def _connect(port: str) -> None:
    with socket.create_connection(("127.0.0.1", int(port)), timeout=2):
        pass


def _open_many(_: str) -> int:
    kept: list[int] = []
    try:
        kept.extend(iter(lambda: os.open("/dev/null", os.O_RDONLY), -1))
    finally:
        for one in kept:
            os.close(one)
    return len(kept)


def _kill_own_thread(_: str) -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.raise_signal(signal.SIGUSR1)


class Exploit:
    """A pickle that runs a command where it is loaded."""

    def __init__(self, marker: str) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self._marker}",)


def _answer_by_itself(name: str) -> None:
    """Send something else than an answer to whoever waits for one."""
    connection = next(
        socket.socket(fileno=int(one.name)) for one in Path("/proc/self/fd").iterdir() if _is_socket(int(one.name))
    )
    connection.sendall(ANSWERS[name])
    threading.Event().wait()


def _is_socket(descriptor: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def _framed(content: object) -> bytes:
    message = pickle.dumps(content)
    return LENGTH.pack(len(message)) + message


# The children of a pool are forked from this process's environment, so both sides of a test agree on the path.
MARKER = str(Path(tempfile.gettempdir()) / f"perdure-taken-over-{os.environ.get(SESSION, '')}")
ANSWERS = {
    "answer exploit": _framed((True, Exploit(MARKER))),
    "answer progress": _framed((None, (Exploit(MARKER), b""))),
    "answer function": _framed((True, _connect)),
    "answer text": _framed((True, "a document")),
    "answer error": _framed((False, KeyboardInterrupt())),
    "answer nonsense": LENGTH.pack(7) + b"nothing",
    "answer endless": LENGTH.pack(2**62),
}
ATTEMPTS: dict[str, Callable[[str], object]] = {
    "read": lambda path: Path(path).read_bytes()[:20],
    "list": lambda path: [one.name for one in Path(path).iterdir()],
    "connect": _connect,
    "listen": lambda _: socket.create_server(("127.0.0.1", 0)),
    "unix": lambda path: socket.socket(socket.AF_UNIX).connect(path),
    "write": lambda path: Path(path).write_text("x"),
    "append": lambda path: Path(path).open("a"),  # noqa: SIM115
    "truncate": lambda path: os.truncate(path, 0),
    "delete": lambda path: Path(path).unlink(),
    "rename": lambda path: Path(path).rename(f"{path}.moved"),
    "folder": lambda path: Path(path).mkdir(),
    "link": lambda path: Path(f"{path}.link").symlink_to(path),
    "mode": lambda path: Path(path).chmod(0o777),
    "run": lambda _: subprocess.run([sys.executable, "-c", ""], check=True),
    "execute": lambda _: os.execv(sys.executable, [sys.executable, "-c", ""]),
    "fork": lambda _: os.fork(),
    "kill": lambda pid: os.kill(int(pid), signal.SIGKILL),
    "raise": _kill_own_thread,
    "thread": _thread,
    "call": _system_call,
    "files": _open_many,
    "environment": lambda _: sorted(os.environ.items()),
    "import": lambda module: __import__(module).__name__,
    "limit": lambda _: resource.setrlimit(resource.RLIMIT_AS, (2**60, 2**60)),
}
