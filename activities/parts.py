"""Keep the finished parts of a long document in the database while it is processed, so that another worker goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from perdure.errors import DependencyUnavailable, RefusedWrite
from perdure.manifest import Lease, ManifestStore

FIRST_WRITE_SECONDS = 5.0
"""A document that ends sooner is begun anew with less trouble."""
WRITE_EVERY_SECONDS = 3.0
MAX_BYTES = 64 * 1024 * 1024
_LAST_WRITE_SECONDS = 1.0


@dataclass
class PartsKeeper:
    """Writes what is added, now and then, under the lease of the attempt."""

    manifest: ManifestStore
    workflow_id: str
    lease: Lease
    position: int
    _waiting: list[bytes] = field(default_factory=list)
    _size: int = 0

    def add(self, parts: bytes) -> None:
        """Have them written, unless there are too many already."""
        if self._size + len(parts) <= MAX_BYTES:
            self._size += len(parts)
            self._waiting.append(parts)

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        """Write all along; nothing is written any more when it ends."""
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
            waiting, self._waiting = self._waiting, []
            try:
                await self.manifest.keep_parts(self.workflow_id, self.lease, self.position, b"".join(waiting))
            except DependencyUnavailable:
                self._waiting = waiting + self._waiting  # parts only save time: nobody waits for them
            except RefusedWrite:
                return  # somebody else has taken over, which the commit will say
