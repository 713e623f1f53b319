"""Attacks of a hostile parser; the document's name selects the attack.

The children of a pool import this module.
"""

import contextlib
import ctypes
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from perdure.sandbox.job import AllowCpu
from perdure.sandbox.messages import ANSWER, FAILURE, HEADER, PARTS, frame


def attempt(_: str, name: str, descriptor: int, allow_cpu: AllowCpu) -> str:
    """Do what the document's name says, and return the result or the name of the error."""
    allow_cpu(60)
    assert os.fstat(descriptor).st_size
    if name in ANSWERS:
        _send(ANSWERS[name])
    action, _, argument = (name, "", "") if name in ATTEMPTS else name.partition(" ")
    try:
        return f"did it: {ATTEMPTS[action](argument)}"
    except OSError as error:
        return type(error).__name__
    except ValueError as error:
        return str(error)


def _thread(_: str) -> int:
    results: list[int] = []
    thread = threading.Thread(target=results.append, args=(1,))
    thread.start()
    thread.join()
    return len(results)


def _system_call(number: str) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    result = int(library.syscall(int(number), 0, 0, 0, 0, 0))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _connect(port: str) -> None:
    with socket.create_connection(("127.0.0.1", int(port)), timeout=2):
        pass


def _count_open_files(_: str) -> int:
    """Open files until the limit, and return their number."""
    descriptors: list[int] = []
    with contextlib.suppress(OSError):
        descriptors.extend(iter(lambda: os.open("/dev/null", os.O_RDONLY), -1))
    for descriptor in descriptors:
        os.close(descriptor)
    return len(descriptors)


def _count_sockets(_: str) -> int:
    return sum(_is_socket(int(entry.name)) for entry in Path("/proc/self/fd").iterdir())


def _read_status(field: str) -> str:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{field}:"))


def _grow_memory_file(_: str) -> None:
    descriptor = os.memfd_create("grown")
    try:
        os.ftruncate(descriptor, 2**40)
    finally:
        os.close(descriptor)


def _kill_own_thread(_: str) -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.raise_signal(signal.SIGUSR1)


def _send(message: bytes) -> None:
    """Send the pool this message, and wait for the kill."""
    connection = next(
        socket.socket(fileno=int(entry.name))
        for entry in Path("/proc/self/fd").iterdir()
        if _is_socket(int(entry.name))
    )
    connection.sendall(message)
    threading.Event().wait()


def _is_socket(descriptor: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False


ANSWERS = {
    "undecodable answer": frame(ANSWER, b"\xff"),
    "unknown kind of answer": frame(b"?", b"text"),
    "endless answer": HEADER.pack(ANSWER, 2**62),
    "failure of another kind": frame(FAILURE, b'["StaleWriter", "text"]'),
    "failure outside our errors": frame(FAILURE, b'["KeyboardInterrupt"]'),
    "failure with wrong arguments": frame(FAILURE, b'["DependencyUnavailable", "one"]'),
    "failure that is not JSON": frame(FAILURE, b"nothing"),
    "parts that are cut off": frame(PARTS, b"\0\0\0\xfftext"),
    "parts without a length": frame(PARTS, b""),
}
ATTEMPTS: dict[str, Callable[[str], object]] = {
    "read": lambda path: Path(path).read_bytes()[:20],
    "list": lambda path: [entry.name for entry in Path(path).iterdir()],
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
    "files": _count_open_files,
    "sockets": _count_sockets,
    "status": _read_status,
    "memory file": _grow_memory_file,
    "core": lambda _: resource.getrlimit(resource.RLIMIT_CORE),
    "environment": lambda _: sorted(os.environ.items()),
    "import": lambda module: __import__(module).__name__,
    "limit": lambda _: resource.setrlimit(resource.RLIMIT_AS, (2**60, 2**60)),
}
