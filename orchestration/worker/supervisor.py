"""Start a new worker whenever the worker dies: `perdure worker --supervise`.

The supervisor has loaded everything that a worker needs, and runs the zygote. The supervisor opens no connection and
starts no thread. A worker is a fork of the supervisor, so a new worker starts within milliseconds of a worker's death.
"""

import gc
import logging
import mmap
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from perdure.sandbox.fork_server import ForkServer, Zygote

HEALTHY_SECONDS = 1.0
"""A worker that exits sooner failed at startup, and is restarted with backoff. Another worker is restarted at once."""
FIRST_DELAY_SECONDS = 0.25
LONGEST_DELAY_SECONDS = 30.0
LOOK_EVERY_SECONDS = 0.2
LAST_ERROR_BYTES = 4096
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)

Tell = Callable[[str], None]
RunWorker = Callable[[ForkServer | None, Tell], NoReturn]

log = logging.getLogger("perdure.supervisor")


class Supervisor:
    """Runs one worker at a time in a child process.

    Make a supervisor in the main thread of a process that has no other threads.

    Args:
        run_worker: the function that the child process runs. Its arguments are the lent fork server, and a function to
            call with the sentence about a failure. The function ends the process itself.
        zygote: the zygote that forks the parsers; lent to each worker in turn.
        parent: id of the parent process; the supervisor stops when that process has ended. None for no such process.
    """

    def __init__(self, run_worker: RunWorker, zygote: Zygote, parent: int | None = None) -> None:
        self._run_worker = run_worker
        self._zygote = zygote
        self._parent = parent
        self._stopping = False
        self._last_error = mmap.mmap(-1, LAST_ERROR_BYTES)  # shared with the children

    def run(self) -> int:
        """Run workers until SIGTERM or Ctrl-C, or until a worker ends with exit code 0; return 0."""
        gc.collect()
        gc.freeze()  # the garbage collector would write to, and so copy, every page that parent and child share
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # `sigtimedwait` receives these signals
        short_lives = 0
        while True:
            began = time.monotonic()
            pid = self._start()
            code = self._wait_for(pid)
            if code == 0 or self._stopping:
                return 0
            lifetime = time.monotonic() - began
            short_lives = short_lives + 1 if lifetime < HEALTHY_SECONDS else 0
            delay = backoff(short_lives)
            log.warning("%s", describe_exit(pid, code, lifetime, short_lives, delay, self._read_error()))
            self._pause(delay)
            if self._stopping:
                return 0

    def _start(self) -> int:
        """Start a worker and return its process id."""
        self._last_error[:] = bytes(LAST_ERROR_BYTES)
        if not self._zygote.is_alive():
            self._zygote = Zygote(self._zygote.warm_up)
        lent = None
        with suppress(OSError):  # without the loan, the worker starts its own fork server
            lent = self._zygote.lend()
        pid = os.fork()
        if pid == 0:
            self._become_worker(lent)
        if lent:
            lent.close()  # only the worker keeps a copy of the socket, so the loan ends when the worker ends
        return pid

    def _become_worker(self, lent: socket.socket | None) -> NoReturn:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        self._zygote.control.close()

        def tell(sentence: str) -> None:
            content = sentence.encode()[:LAST_ERROR_BYTES]
            self._last_error[: len(content)] = content

        self._run_worker(ForkServer(lent=lent) if lent else None, tell)

    def _wait_for(self, pid: int) -> int:
        """Return the worker's exit code; negative for a signal.

        The supervisor passes a request to stop on to the worker.
        """
        while True:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            if self._asked_to_stop():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < deadline:
            self._asked_to_stop()

    def _asked_to_stop(self) -> bool:
        """Wait a moment for a signal, and return whether the supervisor shall stop."""
        received = signal.sigtimedwait(_SIGNALS, LOOK_EVERY_SECONDS)
        orphaned = self._parent is not None and os.getppid() != self._parent and not self._stopping
        asked = orphaned or (received is not None and received.si_signo != signal.SIGCHLD)
        self._stopping = self._stopping or asked
        return asked

    def _read_error(self) -> str:
        return bytes(self._last_error).rstrip(b"\0").decode(errors="replace")


def backoff(short_lives: int) -> float:
    """Return the seconds to wait before the next start.

    Args:
        short_lives: number of workers in a row that failed at startup.
    """
    if short_lives == 0:
        return 0.0
    return min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(short_lives - 1, 16))


def describe_exit(pid: int, code: int, lifetime: float, short_lives: int, delay: float, reason: str) -> str:
    """Return a sentence for the log: how a worker ended, why, and when the next one starts.

    Args:
        pid: process id of the worker.
        code: exit code of the worker, or the negative number of the signal that killed the worker.
        lifetime: seconds from the start to the end of the worker.
        short_lives: number of workers in a row that failed at startup, this one included.
        delay: seconds until the next start.
        reason: sentence about the failure that the worker reported; empty if it reported none.
    """
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    why = f": {reason.rstrip('.')}" if reason else ""
    row = f", {short_lives} times in a row" if short_lives > 1 else ""
    then = f"in {delay:g} s" if delay else "now"
    return f"The worker {pid} {how} after {lifetime:.1f} s{row}{why}. The next one starts {then}."
