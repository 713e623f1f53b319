"""The pool's side of its fork server: start it, have children forked, ask how they ended."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from perdure.errors import DependencyUnavailable
from perdure.sandbox.confinement import harmless
from perdure.sandbox.fork_protocol import FORK, LEND, REPLY, REQUEST, WAIT

POOL = "the parser pool"
_ROOT = str(Path(__file__).resolve().parents[2])
# One thread each: the pool itself is what runs in parallel. On a machine of many cores every thread would also take
# its share of the limited address space, and so would every arena of the C library's allocator.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "RAYON_NUM_THREADS",
            "TOKIO_WORKER_THREADS")  # fmt: skip
_ENVIRONMENT = {**dict.fromkeys(_THREADS, "1"), "MALLOC_ARENA_MAX": "2", "TOKENIZERS_PARALLELISM": "false"}
_CLOSE_SECONDS = 0.5
_SAID_BYTES = 4096


@dataclass(eq=False)
class Child:
    """A forked child: its process id, the socket to it, and what it writes to standard error."""

    server: "ForkServer"
    pid: int
    connection: socket.socket
    errors: int
    served: int = 0

    def is_waiting(self) -> bool:
        """Whether it is alive and waits for work: its socket would read as closed otherwise."""
        try:
            return self.connection.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def forget_said(self) -> None:
        """Begin anew with what it writes to standard error."""
        os.ftruncate(self.errors, 0)
        os.lseek(self.errors, 0, os.SEEK_SET)

    def said(self) -> str:
        """The end of what it wrote to standard error."""
        size = os.fstat(self.errors).st_size
        return os.pread(self.errors, _SAID_BYTES, max(0, size - _SAID_BYTES)).decode(errors="replace")

    def kill(self) -> None:
        """End it. Nobody else can have its process id as long as `ended` was not awaited."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    async def ended(self) -> int:
        """Kill it, unless it is dying already, and say how it ended: a negative number is that of a signal."""
        self.kill()
        return await self.server.exit_code(self.pid)

    def close(self) -> None:
        self.connection.close()
        os.close(self.errors)


class Zygote:
    """The process itself, started at once; it takes a second or two to load, and requests wait for that.

    It is killed by the kernel when the thread that made it ends, so make it in one that lasts.

    Raises:
        DependencyUnavailable: the process cannot be started.
    """

    def __init__(self) -> None:
        try:
            self.control, theirs = socket.socketpair()
        except OSError as error:
            raise DependencyUnavailable(POOL, error.strerror or str(error)) from error
        path = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "perdure.sandbox.zygote", str(theirs.fileno()), str(os.getpid())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env={**harmless(os.environ), **_ENVIRONMENT, "PYTHONPATH": path},
                    pass_fds=[theirs.fileno()],
                )
        except OSError as error:
            self.control.close()
            raise DependencyUnavailable(POOL, error.strerror or str(error)) from error

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def lend(self) -> socket.socket:
        """A socket for a `ForkServer` in a process forked from this one; it ends every loan before it.

        Raises:
            OSError: the process is gone.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self.control, [REQUEST.pack(LEND, 0)], [theirs.fileno()])
        return ours

    def wait(self) -> None:
        """Wait until the process is gone whose socket was closed; one that is still loading is killed."""
        try:
            self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class ForkServer:
    """What the pool asks for children: a zygote of its own, or one that was lent to it.

    Args:
        zygote: one that was started before and belongs to it from now on; a new one if neither is given.
        lent: the socket of one that belongs to the process from which this one was forked.

    Raises:
        DependencyUnavailable: from every method: the process cannot be started, cannot fork, or is gone.
    """

    def __init__(self, zygote: Zygote | None = None, lent: socket.socket | None = None) -> None:
        if lent:
            self._zygote, self._control = None, lent
        else:
            self._zygote = zygote or Zygote()
            self._control = self._zygote.control
        self._control.setblocking(False)
        self._turn = asyncio.Lock()
        self._closing = False

    @property
    def pid(self) -> int:
        """Of a zygote of its own."""
        assert self._zygote
        return self._zygote.pid

    def is_alive(self) -> bool:
        if self._closing:
            return False
        if self._zygote:
            return self._zygote.is_alive()
        try:
            return self._turn.locked() or self._control.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    async def fork(self) -> Child:
        """A fresh child, ready for work."""
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise DependencyUnavailable(POOL, error.strerror or str(error)) from error
        with contextlib.ExitStack() as undo:
            undo.callback(ours.close)
            with theirs:
                ours.setblocking(False)
                try:
                    errors = _memory_file()
                    undo.callback(os.close, errors)
                    pid = await self._ask(FORK, 0, [os.dup(theirs.fileno()), os.dup(errors)])
                except OSError as error:
                    raise DependencyUnavailable(POOL, error.strerror or str(error)) from error
            if pid < 0:
                raise DependencyUnavailable(POOL, os.strerror(-pid))
            undo.pop_all()
            return Child(self, pid, ours, errors)

    async def exit_code(self, pid: int) -> int:
        """How a killed or dying child ended."""
        return await self._ask(WAIT, pid, [])

    async def _ask(self, action: bytes, pid: int, descriptors: list[int]) -> int:
        # Shielded: a request without its answer would leave the next one with the wrong one. If a fork is cancelled,
        # its child finds its socket closed and ends.
        return await asyncio.shield(asyncio.ensure_future(self._exchange(action, pid, descriptors)))

    async def _exchange(self, action: bytes, pid: int, descriptors: list[int]) -> int:
        reply = b""
        try:
            async with self._turn:
                socket.send_fds(self._control, [REQUEST.pack(action, pid)], descriptors)
                reply = await asyncio.get_running_loop().sock_recv(self._control, REPLY.size)
        except OSError:
            pass  # a broken pipe says the same as no reply
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
            self._close_when_idle()
        if not reply:
            raise DependencyUnavailable(POOL, "its fork server is gone")
        return int(REPLY.unpack(reply)[0])

    def stop(self) -> None:
        """Take no more requests, and answer those that wait with `DependencyUnavailable`; its children end first."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._close_when_idle()

    def _close_when_idle(self) -> None:
        if self._closing and not self._turn.locked():
            self._control.close()

    def wait(self) -> None:
        """Wait until the stopped process is gone, if it is our own."""
        if self._zygote:
            self._zygote.wait()


def _memory_file() -> int:
    if sys.platform == "linux":
        return os.memfd_create("perdure-child-errors")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
