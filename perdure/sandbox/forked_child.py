"""The worker's view of a forked child: its process id, its socket and its standard error."""

import contextlib
import os
import signal
import socket
from dataclasses import dataclass
from typing import Protocol

POOL = "the parser pool"
"""Name of the pool in the message of `DependencyUnavailable`."""
_ERRORS_BYTES = 4096


class Reaper(Protocol):
    """The fork server of a child, which collects the exit code of the child."""

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
    """Number of documents that the pool has sent to the child."""

    def is_waiting(self) -> bool:
        """Return whether the child is alive and waits for work.

        The kernel closes the socket of a dead child.
        """
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

        The kernel gives the process id to no other process before a caller has awaited `wait_for_end`.
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
