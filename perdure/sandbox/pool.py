"""The isolated pool: documents are read in processes of their own, which may crash, hang or bloat and hurt nobody.

A fork server of our own and one socket a child, instead of Pebble's ProcessPool, for what was seen of it (5.2): one
SIGKILL to an idle child broke the whole pool for good, and a child that dies before its acknowledgement is read leaves
its document hanging until the time limit. Here, whatever ends a child shows as the end of its own socket, at once, and
touches no other. Nothing heavy is imported into the process that owns the pool.
"""

import asyncio
import pickle
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from perdure.documents.document import ProcessedDocument
from perdure.documents.opened import OpenedDocument
from perdure.documents.processing import process_document
from perdure.documents.sources import open_document
from perdure.errors import DependencyUnavailable, ParserCrashed, ParserFailure, ParserKilled, ParserTimedOut
from perdure.sandbox.answers import loaded
from perdure.sandbox.child import LENGTH, ProcessFunction
from perdure.sandbox.child_endings import failure_of
from perdure.sandbox.fork_server import POOL, Child, ForkServer
from perdure.sandbox.idleness import unless_idle
from perdure.sandbox.limits import Limits
from perdure.sandbox.parts import KeptParts, Send

__all__ = ["IsolatedPool", "Limits", "Outcome"]

_MAX_SERVED = 200
"""Documents for one child: its memory limit counts from its start, and memory fragments."""
_BORNE_KILLS = 5
"""Tries of a document whose parser is killed from outside: more often the machine's doing than the document's."""
_LARGE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """A processed document, and how many tries it took."""

    document: ProcessedDocument
    attempts: int
    version: str = ""
    """What was seen of the document when it was opened, in the form in which discovery gives it."""


Opener = Callable[[str, str, int], OpenedDocument]
"""Of URI, source, and how many bytes are too many."""


class IsolatedPool:
    """Processes documents away from this process; belongs to one event loop.

    Args:
        workers: children at once.
        limits: on each document.
        process: what the children do; importable by them.
        opener: gives an open descriptor to each document; called in a thread.
        server: a fork server that was started, or lent, before; if it ends it is replaced by one of the pool's own.
        confined: whether the children give up network, programs, other processes and writing; only tests need more.
    """

    def __init__(
        self,
        workers: int,
        limits: Limits,
        process: ProcessFunction = process_document,
        server: ForkServer | None = None,
        opener: Opener = open_document,
        *,
        confined: bool = True,
    ) -> None:
        self._opener = opener
        self._limits = limits
        self._process = process
        self._confined = confined
        self._slots = asyncio.Semaphore(workers)
        self._server = server
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._ending: set[asyncio.Task[tuple[int | None, str]]] = set()
        self._closed = False

    def start(self) -> None:
        """Start the fork server; returns at once, it loads its libraries meanwhile.

        Raises:
            DependencyUnavailable: no process can be started.
        """
        if self._server is None or not self._server.is_alive():
            self._stop()
            self._server = ForkServer()

    async def process(
        self, entry_uri: str, name: str, source: str, *, earlier: bytes = b"", on_progress: Send | None = None
    ) -> Outcome:
        """Process one document; cancelling the caller kills the child that works on it.

        A child that takes over from one that was killed goes on from the parts that that one had finished.

        Args:
            entry_uri: of the document.
            name: of the document.
            source: that it was found under.
            earlier: parts of the document that were finished before, as `on_progress` was given them.
            on_progress: given, now and then, how far a long document is, and the parts that were finished since.

        Raises:
            DocumentError: the document's own fault; of a `ParserFailure`, `attempts` says how often it was tried.
            DependencyUnavailable: the disk, or the pool itself, cannot be used now.
        """
        request = pickle.dumps((self._confined, self._process, entry_uri, name, self._limits), pickle.HIGHEST_PROTOCOL)
        parts = KeptParts()
        parts.add(earlier)

        def keep(said: str, finished: bytes) -> None:
            parts.add(finished)
            if on_progress:
                on_progress(said, finished)

        try:
            async with self._slots:
                opened = await self._opened(entry_uri, source)
            try:
                return await self._tried(request, opened, parts, keep)
            finally:
                opened.close()
        finally:
            parts.close()

    async def _opened(self, uri: str, source: str) -> OpenedDocument:
        opening = asyncio.ensure_future(asyncio.to_thread(self._opener, uri, source, self._limits.max_file_bytes))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unclaimed)
            raise

    async def _tried(self, request: bytes, opened: OpenedDocument, parts: KeptParts, keep: Send) -> Outcome:
        attempt = own_failures = 0
        while True:
            attempt += 1
            try:
                async with self._slots:
                    message = pickle.dumps((parts.all(), request))
                    return Outcome(await self._once(message, opened.descriptor, keep), attempt, opened.version)
            except ParserFailure as failure:
                failure.attempts = attempt
                own_failures += not isinstance(failure, ParserKilled)
                if own_failures >= self._limits.attempts or attempt >= max(_BORNE_KILLS, self._limits.attempts):
                    raise

    def close(self) -> None:
        """Stop the children, whatever they are doing; documents in hand end as `DependencyUnavailable`."""
        self._closed = True
        if server := self._stop():
            server.wait()

    async def aclose(self) -> None:
        """The same, without holding up the event loop."""
        self._closed = True
        if server := self._stop():
            await asyncio.to_thread(server.wait)
        await asyncio.gather(*self._ending)

    def _stop(self) -> ForkServer | None:
        for child in self._busy:
            child.kill()  # closed by whoever waits for it
        for child in self._idle:
            child.kill()
            child.close()
        self._idle.clear()
        server, self._server = self._server, None
        if server:
            server.stop()
        return server

    async def _once(self, request: bytes, descriptor: int, keep: Send) -> ProcessedDocument:
        child = await self._take()
        self._busy.add(child)
        answer, usable = None, False
        try:
            async with asyncio.timeout(self._limits.wall_seconds), unless_idle(child.pid, self._limits.idle_seconds):
                answer = await _ask(child.connection, request, descriptor, keep, self._limits.memory_bytes)
            if answer is not None:
                succeeded, result = answer
                if succeeded:
                    usable = True
                    return result  # type: ignore[no-any-return] # what `child.serve` sends
                # After a lack of memory, or an error nobody foresaw, the next try gets a fresh child.
                usable = not isinstance(result, ParserFailure)
                raise result
        except TimeoutError as error:
            raise ParserTimedOut(f"The parser was stopped after {self._limits.wall_seconds:g} seconds.") from error
        finally:
            end = self._release(child, usable=usable)
        assert end  # a child without an answer is of no more use
        raise failure_of(*await end, self._limits)

    async def _take(self) -> Child:
        if self._closed:
            raise DependencyUnavailable(POOL, "it is closed")
        self.start()
        while self._idle:
            child = self._idle.pop()
            if child.is_waiting():
                child.forget_said()
                return child
            self._release(child, usable=False)
        assert self._server
        return await self._server.fork()

    def _release(self, child: Child, *, usable: bool) -> "asyncio.Task[tuple[int | None, str]] | None":
        """Keep the child for the next document, or end it: the task tells how it ended and what it said."""
        self._busy.discard(child)
        child.served += 1
        if usable and child.served < _MAX_SERVED and child.server is self._server:
            self._idle.append(child)
            return None
        child.kill()
        task = asyncio.ensure_future(_end(child))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task


async def _end(child: Child) -> tuple[int | None, str]:
    """How the child ended, None if nobody knows, and the last that it wrote to standard error."""
    try:
        return await child.ended(), child.said()
    except DependencyUnavailable:
        return None, ""
    finally:
        child.close()


def _close_unclaimed(opening: asyncio.Future[OpenedDocument]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


async def _ask(connection: Any, request: bytes, descriptor: int, keep: Send, max_bytes: int) -> tuple[bool, Any] | None:
    """The child's answer, None if it ended without one; the parts that it sends before are kept."""
    loop = asyncio.get_running_loop()
    try:
        # An idle socket takes so little at once.
        socket.send_fds(connection, [LENGTH.pack(len(request))], [descriptor])
        await loop.sock_sendall(connection, request)
        while header := await _exactly(connection, LENGTH.size):
            length = LENGTH.unpack(header)[0]
            if length > max_bytes:
                raise ParserCrashed("The parser's answer is longer than the memory that it may use.")
            message = await _exactly(connection, length)
            if message is None:
                return None
            succeeded, result = await _unpickled(message)
            if succeeded is not None:
                return succeeded, result
            keep(*result)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return None


async def _exactly(connection: Any, count: int) -> bytearray | None:
    received = bytearray(count)
    rest = memoryview(received)
    while rest:
        length = await asyncio.get_running_loop().sock_recv_into(connection, rest)
        if length == 0:
            return None
        rest = rest[length:]
    return received


async def _unpickled(answer: bytearray) -> tuple[bool | None, Any]:
    # A book's worth of chunks and mentions would hold up the event loop.
    return await asyncio.to_thread(loaded, answer) if len(answer) > _LARGE_BYTES else loaded(answer)
