"""Raises one barrier of the confinement, and prints the actions that the barrier allows.

Run `barriers.py NAME FOLDER PORT`. In a pool both barriers hold together, so a hole in one of them would not show.
"""

import ctypes
import errno
import json
import mmap
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from perdure.sandbox.confinement import _restrict_files
from perdure.sandbox.system_calls import deny_system_calls

_X32 = 0x40000000
_GETPID_OF_X32 = _X32 + 39
_IO_URING_SETUP = 425
_SET_NO_NEW_PRIVS = 38
_CREATE_RULESET = 444
_VERSION_FLAG = 1
UNAVAILABLE = 77
"""Exit code: the kernel has no such barrier."""


def main(name: str, folder: str, port: str) -> None:
    """Raise the barrier, make each attempt, and print the names of the errors as JSON.

    An attempt without an error has an empty name.
    """
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    raised = deny_system_calls() if name in ("filter", "old interface") else _restrict_files([f"{folder}/readable"])
    if not raised:
        sys.exit(UNAVAILABLE)
    if name == "old interface":
        _call_old_interface()
    print(json.dumps({what: _try(attempt) for what, attempt in _list_attempts(library, Path(folder), port).items()}))


def ask_version_of_rules() -> int:
    """Return the kernel's version of Landlock; -1 if it has none."""
    return int(ctypes.CDLL(None).syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG))


def _list_attempts(library: ctypes.CDLL, folder: Path, port: str) -> dict[str, Callable[[], object]]:
    def call(number: int) -> None:
        if library.syscall(number, 0, 0, 0, 0, 0) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    path = folder / "file"
    file = str(path)
    return {
        "read": path.read_bytes,
        "read what is readable": (folder / "readable").read_bytes,
        "list": lambda: list(folder.iterdir()),
        "open to write": lambda: os.open(file, os.O_WRONLY),
        "open to read and write": lambda: os.open(file, os.O_RDWR),
        "open to truncate": lambda: os.open(file, os.O_RDONLY | os.O_TRUNC),
        "open to create": lambda: os.open(file + "2", os.O_RDONLY | os.O_CREAT),
        "truncate": lambda: os.truncate(file, 0),
        "remove": path.unlink,
        "rename": lambda: path.rename(file + "3"),
        "make a folder": Path(file + "4").mkdir,
        "link": lambda: Path(file + "5").symlink_to(file),
        "connect": lambda: _connect(int(port)),
        "fork": _fork,
        "execute": lambda: os.execv(sys.executable, [sys.executable, "-c", ""]),
        "signal to the parent": lambda: os.kill(os.getppid(), 0),
        "signal to itself": lambda: os.kill(os.getpid(), 0),
        "thread": _run_thread,
        "call of x32": lambda: call(_GETPID_OF_X32),
        "io_uring": lambda: call(_IO_URING_SETUP),
    }


def _try(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return ""


def _connect(port: int) -> None:
    with socket.socket() as connection:
        connection.connect(("127.0.0.1", port))


def _fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _run_thread() -> None:
    thread = threading.Thread(target=os.getpid)
    thread.start()
    thread.join()


def _call_old_interface() -> None:
    """Call `getpid` by the 32-bit interface of x86, whose numbers are those of other calls."""
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, 20; int 0x80; ret
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()


if __name__ == "__main__":
    main(*sys.argv[1:])
