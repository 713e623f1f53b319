"""Stores finished parts of a long document, after which a later attempt continues."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from perdure.errors import DependencyUnavailable, RefusedWrite
from perdure.manifest import Lease, ManifestStore

FIRST_WRITE_SECONDS = 5.0
"""Age of a document at which its parts are first written. To repeat a shorter document costs less than to write."""
WRITE_EVERY_SECONDS = 3.0
MAX_BYTES = 64 * 1024 * 1024
"""Most bytes of parts kept for one document; a later attempt computes further parts again."""
_LAST_WRITE_SECONDS = 1.0


@dataclass
class PartsKeeper:
    """Writes added parts at intervals, under the lease of the attempt."""

    manifest: ManifestStore
    workflow_id: str
    lease: Lease
    position: int
    _waiting: list[bytes] = field(default_factory=list)
    _size: int = 0

    def add(self, parts: bytes) -> None:
        """Schedule parts for writing, unless the document has reached `MAX_BYTES`."""
        if self._size + len(parts) <= MAX_BYTES:
            self._size += len(parts)
            self._waiting.append(parts)

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        """Write at intervals inside the block; no write happens after the block has ended."""
        done = asyncio.Event()
        task = asyncio.create_task(self._write_until(done))
        try:
            yield
        finally:
            done.set()
            await asyncio.wait({task}, timeout=_LAST_WRITE_SECONDS)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _write_until(self, done: asyncio.Event) -> None:
        pause = FIRST_WRITE_SECONDS
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), pause)
            if done.is_set():
                return
            pause = WRITE_EVERY_SECONDS
            if not self._waiting:
                continue
            waiting = self._waiting
            self._waiting = []
            try:
                await self.manifest.keep_parts(self.workflow_id, self.lease, self.position, b"".join(waiting))
            except DependencyUnavailable:
                # The next interval writes these parts before newer parts, because a reader needs them in their order.
                self._waiting = waiting + self._waiting
            except RefusedWrite:
                # A later attempt has taken the document over. The commit of this attempt will be refused.
                return
