"""One forked child, as the pool's process sees it."""

import contextlib
import os
import signal
import socket
from dataclasses import dataclass
from typing import Protocol

POOL = "the parser pool"
"""Names the pool to users, in `DependencyUnavailable`."""
_ERRORS_BYTES = 4096


class Reaper(Protocol):
    """Tells how a child ended: the fork server that forked it."""

    async def exit_code(self, pid: int) -> int:
        """Wait for the end of a child and return its exit code; a negative number names a signal."""
        ...


@dataclass(eq=False)
class Child:
    """A forked child: its process id, its socket, and the file that holds its standard error."""

    server: Reaper
    pid: int
    connection: socket.socket
    errors: int
    """Descriptor of the file that the child writes standard error to."""
    served: int = 0
    """Documents that it was given."""

    def is_waiting(self) -> bool:
        """Return whether the child is alive and waits for work; the socket of a dead child reads as closed."""
        try:
            return self.connection.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def clear_errors(self) -> None:
        """Drop what the child wrote to standard error so far."""
        os.ftruncate(self.errors, 0)
        os.lseek(self.errors, 0, os.SEEK_SET)

    def read_errors(self) -> str:
        """Return the end of what the child wrote to standard error."""
        size = os.fstat(self.errors).st_size
        return os.pread(self.errors, _ERRORS_BYTES, max(0, size - _ERRORS_BYTES)).decode(errors="replace")

    def kill(self) -> None:
        """Send SIGKILL.

        Until `wait_for_end` was awaited, the kernel gives the process id to no other process.
        """
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    async def wait_for_end(self) -> int:
        """Kill the child unless it has ended, and return its exit code.

        A negative number names the signal that ended the child.

        Raises:
            DependencyUnavailable: the fork server is gone, so the exit code is lost.
        """
        self.kill()
        return await self.server.exit_code(self.pid)

    def close(self) -> None:
        """Close the socket and the error file."""
        self.connection.close()
        os.close(self.errors)
