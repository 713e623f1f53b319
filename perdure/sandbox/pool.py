"""The pool: reads documents in processes, which may crash, hang or run out of memory.

The other processes continue in these cases. The pool uses a fork server, and one socket for each child. Pebble's
ProcessPool (5.2) has two defects that the pool avoids. SIGKILL to one idle child permanently breaks the whole pool. A
child that dies before the pool reads its acknowledgement leaves its document waiting until the time limit. Here the
socket of a child closes at once when the child ends. The process that owns the pool imports no parser library.
"""

import asyncio
import pickle
from typing import Generic

from perdure.errors import DependencyUnavailable, DocumentError, ParserFailure, ParserKilled, ParserTimedOut
from perdure.sandbox.child_client import ChildEnded, read_document
from perdure.sandbox.child_exit import explain_exit
from perdure.sandbox.fork_server import ForkServer, Zygote
from perdure.sandbox.forked_child import POOL, Child
from perdure.sandbox.idle_watch import stop_when_idle
from perdure.sandbox.job import Answer, Job, OpenedDocument, Outcome
from perdure.sandbox.limits import ProcessLimits
from perdure.sandbox.parts import KeptParts, Send

_MAX_SERVED = 200
"""Most documents that one child reads. A new child then takes its place, because a child's memory fragments."""
_MAX_KILLED_ATTEMPTS = 5
"""Attempts at a document whose parser is killed from outside. Such a kill is more often the fault of the machine."""


class IsolatedPool(Generic[Answer]):
    """Reads documents in confined child processes. Belongs to one event loop.

    Args:
        workers: children that work at the same time.
        limits: limits on each document.
        job: the job of the children: opener, parser, codec and warm-up.
        server: a fork server that was started or lent before. If this server ends, the pool starts another one.
    """

    def __init__(self, workers: int, limits: ProcessLimits, job: Job[Answer], server: ForkServer | None = None) -> None:
        self._job = job
        self._limits = limits
        self._work = pickle.dumps((job.parser, job.codec, limits), pickle.HIGHEST_PROTOCOL)
        """Pickled part of a request that is equal for every request, so that a child unpickles it once."""
        self._slots = asyncio.Semaphore(workers)
        self._server = server
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._ending: set[asyncio.Task[tuple[int | None, str]]] = set()
        self._closed = False

    def start(self) -> None:
        """Start a fork server unless one runs, and return before its zygote has warmed up.

        Raises:
            DependencyUnavailable: no process can be started.
        """
        if self._server is None or not self._server.is_alive():
            self._stop()
            self._server = ForkServer(Zygote(self._job.warm_up))

    async def process(
        self, uri: str, name: str, source: str, *, earlier: bytes = b"", on_progress: Send | None = None
    ) -> Outcome[Answer]:
        """Read one document. Cancelling the call kills the child that reads it.

        A child that replaces a killed one continues after the parts that the killed one finished.

        Args:
            uri: uri of the document.
            name: name of the document.
            source: the source under which discovery listed the document; the opener needs it.
            earlier: parts that were finished before, as `on_progress` received them, one after another.
            on_progress: called repeatedly, with a progress text and the parts finished since the last call.

        Raises:
            DocumentError: the document cannot be processed. On a `ParserFailure`, `attempts` counts the attempts.
            DependencyUnavailable: the disk or the pool itself cannot be used now.
        """
        parts = KeptParts()
        parts.add(earlier)

        def keep(progress: str, finished: bytes) -> None:
            parts.add(finished)
            if on_progress:
                on_progress(progress, finished)

        try:
            async with self._slots:
                opened = await self._open(uri, source)
            try:
                return await self._attempt_until_read(uri, name, opened, parts, keep)
            finally:
                opened.close()
        finally:
            parts.close()

    async def _open(self, uri: str, source: str) -> OpenedDocument:
        opening = asyncio.ensure_future(asyncio.to_thread(self._job.opener, uri, source, self._limits.max_file_bytes))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unclaimed)
            raise

    async def _attempt_until_read(
        self, uri: str, name: str, opened: OpenedDocument, parts: KeptParts, keep: Send
    ) -> Outcome[Answer]:
        attempt = own_failures = 0
        while True:
            attempt += 1
            try:
                async with self._slots:
                    request = pickle.dumps((self._work, uri, name, parts.read_all()), pickle.HIGHEST_PROTOCOL)
                    return Outcome(await self._attempt(request, opened.descriptor, keep), attempt, opened.version)
            except ParserFailure as failure:
                failure.attempts = attempt
                own_failures += not isinstance(failure, ParserKilled)
                if own_failures >= self._limits.attempts or attempt >= max(_MAX_KILLED_ATTEMPTS, self._limits.attempts):
                    raise

    async def _attempt(self, request: bytes, descriptor: int, keep: Send) -> Answer:
        child = await self._take_child()
        self._busy.add(child)
        limits = self._limits
        is_usable = False
        try:
            async with asyncio.timeout(limits.wall_seconds), stop_when_idle(child.pid, limits.idle_seconds):
                answer = await read_document(
                    child.connection, request, descriptor, self._job.codec, keep, limits.memory_bytes
                )
        except (DocumentError, DependencyUnavailable) as error:
            # After a lack of memory or an unexpected exception, the next attempt needs a new child.
            is_usable = not isinstance(error, ParserFailure)
            raise
        except TimeoutError as error:
            raise ParserTimedOut(f"The parser was stopped after {limits.wall_seconds:g} seconds.") from error
        except ChildEnded:
            pass  # the exit code gives the reason
        else:
            is_usable = True
            return answer
        finally:
            ending = self._release(child, is_usable=is_usable)
        assert ending  # a child that did not answer is never used again
        raise explain_exit(*await ending, limits)

    async def _take_child(self) -> Child:
        if self._closed:
            raise DependencyUnavailable(POOL, "it is closed")
        self.start()
        while self._idle:
            child = self._idle.pop()
            if child.is_waiting():
                child.clear_errors()
                return child
            self._release(child, is_usable=False)
        assert self._server
        return await self._server.fork()

    def _release(self, child: Child, *, is_usable: bool) -> "asyncio.Task[tuple[int | None, str]] | None":
        """Keep the child for another document, or kill it.

        Returns:
            None for a kept child; else a task that returns the exit code and the standard error of the child.
        """
        self._busy.discard(child)
        child.served += 1
        if is_usable and child.served < _MAX_SERVED and child.server is self._server:
            self._idle.append(child)
            return None
        child.kill()
        ending = asyncio.ensure_future(_end(child))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        return ending

    def close(self) -> None:
        """Kill the children. Documents that they read end with `DependencyUnavailable`."""
        self._closed = True
        if server := self._stop():
            server.wait()

    async def aclose(self) -> None:
        """Kill the children, as `close` does, without blocking the event loop."""
        self._closed = True
        if server := self._stop():
            await asyncio.to_thread(server.wait)
        await asyncio.gather(*self._ending)

    def _stop(self) -> ForkServer | None:
        for child in self._busy:
            child.kill()  # `_attempt` closes it
        for child in self._idle:
            child.kill()
            child.close()
        self._idle.clear()
        server = self._server
        self._server = None
        if server:
            server.stop()
        return server


async def _end(child: Child) -> tuple[int | None, str]:
    """Return the child's exit code, None if it is lost, and the end of its standard error."""
    try:
        return await child.wait_for_end(), child.read_errors()
    except DependencyUnavailable:
        return None, ""
    finally:
        child.close()


def _close_unclaimed(opening: asyncio.Future[OpenedDocument]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
