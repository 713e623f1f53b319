"""Bring a worker back whenever it dies: `worker.py --supervise`.

The supervisor has everything loaded that a worker needs, and the parsers' fork server running, but opens nothing: no
connection, no thread. A worker is a fork of it, so the next one is there within milliseconds of the last one's death.
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
"""Who lived for less died of its own start; who lived longer is brought back at once, however often."""
FIRST_DELAY_SECONDS = 0.25
LONGEST_DELAY_SECONDS = 30.0
LOOK_EVERY_SECONDS = 0.2
LAST_WORDS_BYTES = 4096
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)

Tell = Callable[[str], None]
RunWorker = Callable[[ForkServer | None, Tell], NoReturn]

log = logging.getLogger("perdure.supervisor")


class Supervisor:
    """Runs one worker at a time in a child process; make it in the main thread of a process without other threads.

    Args:
        run_worker: what the child does: gets the fork server lent to it, and whom to tell why it fails; it leaves the
            process by itself.
        zygote: the parsers' fork server, lent to one worker after the other.
        parent: stop when this process is gone; None for never.
    """

    def __init__(self, run_worker: RunWorker, zygote: Zygote, parent: int | None = None) -> None:
        self._run_worker = run_worker
        self._zygote = zygote
        self._parent = parent
        self._stopping = False
        self._last_words = mmap.mmap(-1, LAST_WORDS_BYTES)  # shared with the children

    def run(self) -> int:
        """Keep a worker alive until SIGTERM, Ctrl-C, or until one ends because it was asked to; returns 0."""
        gc.collect()
        gc.freeze()  # the collector would write to, and so copy, every page that parent and child share
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # they are waited for instead
        short_lives = 0
        while True:
            began = time.monotonic()
            pid = self._start()
            code = self._wait_for(pid)
            if code == 0 or self._stopping:
                return 0
            lived = time.monotonic() - began
            short_lives = short_lives + 1 if lived < HEALTHY_SECONDS else 0
            delay = backoff(short_lives)
            log.warning("%s", describe_exit(pid, code, lived, short_lives, delay, self._said()))
            self._pause(delay)
            if self._stopping:
                return 0

    def _start(self) -> int:
        """Process id of a new worker."""
        self._last_words[:] = bytes(LAST_WORDS_BYTES)
        if not self._zygote.is_alive():
            self._zygote = Zygote(self._zygote.warm_up)
        lent = None
        with suppress(OSError):  # without it the worker starts one of its own
            lent = self._zygote.lend()
        pid = os.fork()
        if pid == 0:
            self._become_worker(lent)
        if lent:
            lent.close()  # the worker's copy is then the only one, and its end is the end of the loan
        return pid

    def _become_worker(self, lent: socket.socket | None) -> NoReturn:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        self._zygote.control.close()

        def tell(sentence: str) -> None:
            said = sentence.encode()[:LAST_WORDS_BYTES]
            self._last_words[: len(said)] = said

        self._run_worker(ForkServer(lent=lent) if lent else None, tell)

    def _wait_for(self, pid: int) -> int:
        """The exit code of the worker, a negative number if a signal killed it; asks it to stop when we are."""
        while True:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                return os.waitstatus_to_exitcode(status)
            if self._asked_to_stop():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < deadline:
            self._asked_to_stop()

    def _asked_to_stop(self) -> bool:
        """Sleep until something happens, for a moment at most; whether it is that we shall stop."""
        happened = signal.sigtimedwait(_SIGNALS, LOOK_EVERY_SECONDS)
        orphaned = self._parent is not None and os.getppid() != self._parent and not self._stopping
        asked = orphaned or (happened is not None and happened.si_signo != signal.SIGCHLD)
        self._stopping = self._stopping or asked
        return asked

    def _said(self) -> str:
        return bytes(self._last_words).rstrip(b"\0").decode(errors="replace")


def backoff(short_lives: int) -> float:
    """Seconds to wait before the next start, after so many lives in a row that ended at once."""
    if short_lives == 0:
        return 0.0
    return min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(short_lives - 1, 16))


def describe_exit(pid: int, code: int, lived: float, short_lives: int, delay: float, said: str) -> str:
    """One sentence for people: how a worker ended, why, and what happens next."""
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    why = f": {said.rstrip('.')}" if said else ""
    row = f", {short_lives} times in a row" if short_lives > 1 else ""
    then = f"in {delay:g} s" if delay else "now"
    return f"The worker {pid} {how} after {lived:.1f} s{row}{why}. The next one starts {then}."
