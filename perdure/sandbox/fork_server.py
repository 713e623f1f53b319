"""The pool's side of the zygote: has it fork children, and asks it how children ended."""

import asyncio
import contextlib
import os
import socket
import sys
import tempfile

from perdure.errors import DependencyUnavailable
from perdure.sandbox.fork_protocol import FORK, REPLY, REQUEST, WAIT
from perdure.sandbox.forked_child import POOL, Child
from perdure.sandbox.zygote_process import Zygote

__all__ = ["ForkServer", "Zygote"]


class ForkServer:
    """Forks children from the server's zygote, or from a borrowed zygote.

    Give exactly one of the arguments.

    Args:
        zygote: a zygote that belongs to this object from now on.
        lent: socket to a zygote of the process from which the present process was forked (`Zygote.lend`).

    Raises:
        DependencyUnavailable: from `fork` and `exit_code`: the zygote cannot fork, or is gone.
    """

    def __init__(self, zygote: Zygote | None = None, lent: socket.socket | None = None) -> None:
        control = lent or (zygote.control if zygote else None)
        if control is None:
            raise ValueError("Give either a zygote or a borrowed socket.")
        self._zygote = zygote
        self._control = control
        self._control.setblocking(False)
        self._turn = asyncio.Lock()
        self._closing = False

    @property
    def pid(self) -> int:
        """Return the process id of the zygote that belongs to this object."""
        assert self._zygote
        return self._zygote.pid

    def is_alive(self) -> bool:
        """Return whether children can be forked."""
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
        """Return a new child that waits for work."""
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise DependencyUnavailable(POOL, error.strerror or str(error)) from error
        with contextlib.ExitStack() as undo:
            undo.callback(ours.close)
            with theirs:
                ours.setblocking(False)
                try:
                    errors = _open_memory_file()
                    undo.callback(os.close, errors)
                    pid = await self._request(FORK, 0, [os.dup(theirs.fileno()), os.dup(errors)])
                except OSError as error:
                    raise DependencyUnavailable(POOL, error.strerror or str(error)) from error
            if pid < 0:
                raise DependencyUnavailable(POOL, os.strerror(-pid))
            undo.pop_all()
            return Child(self, pid, ours, errors)

    async def exit_code(self, pid: int) -> int:
        """Wait for the end of a killed or dying child and return its exit code.

        A negative number names the signal that ended the child.
        """
        return await self._request(WAIT, pid, [])

    async def _request(self, action: bytes, pid: int, descriptors: list[int]) -> int:
        # Shielded: a request whose reply was not read would give the next request the wrong reply. If a fork is
        # cancelled, its child finds its socket closed and ends.
        return await asyncio.shield(asyncio.ensure_future(self._exchange(action, pid, descriptors)))

    async def _exchange(self, action: bytes, pid: int, descriptors: list[int]) -> int:
        reply = b""
        try:
            async with self._turn:
                socket.send_fds(self._control, [REQUEST.pack(action, pid)], descriptors)
                reply = await asyncio.get_running_loop().sock_recv(self._control, REPLY.size)
        except OSError:
            pass  # a broken pipe means the same as an empty reply: the zygote is gone
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
            self._close_when_unused()
        if not reply:
            raise DependencyUnavailable(POOL, "its fork server is gone")
        return int(REPLY.unpack(reply)[0])

    def stop(self) -> None:
        """Accept no more requests; requests that wait raise `DependencyUnavailable`.

        The caller kills the children before this call, because the zygote waits for their end.
        """
        self._closing = True
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._close_when_unused()

    def _close_when_unused(self) -> None:
        if self._closing and not self._turn.locked():
            self._control.close()

    def wait(self) -> None:
        """Wait for the end of a zygote that belongs to this object; call `stop` first."""
        if self._zygote:
            self._zygote.wait()


def _open_memory_file() -> int:
    if sys.platform == "linux":
        return os.memfd_create("perdure-child-errors")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
