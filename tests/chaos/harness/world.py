"""The servers, proxies, service and workers of a chaos session, all of them its own."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import psutil
from temporalio.service import RPCError

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.embedded.record import PostgresRecord, TemporalRecord
from orchestration.embedded.stack import EmbeddedStack
from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from orchestration.worker.slot import live_workers
from perdure.errors import PerdureError
from tests.chaos.workers import ChaosWorker
from tests.proxy import Proxy

WORKERS = 2
PATIENCE_SECONDS = 120.0
"""For what must succeed once everything is well again."""
CONNECT_SECONDS = 10.0

Answer = TypeVar("Answer")


class Service:
    """A web service that a run's checkpoints ask for its health; it can be closed."""

    def __init__(self) -> None:
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 {HTTPStatus.NO_CONTENT.value} No Content\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        writer.close()


class World:
    """An async context manager; nothing of it is left afterwards.

    Args:
        folder: where the servers' data, checkpoint files and logs are.
    """

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder
        self.stack = EmbeddedStack(folder, default_ports=False, say=lambda _: None)
        self.service = Service()
        self.workers: list[ChaosWorker] = []
        self.fallen: list[ChaosWorker] = []
        """Those whose supervisor was killed."""
        self._mending = asyncio.Lock()
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self.stack.down)
            await self.stack.up()
            self.to_postgres = await undo.enter_async_context(Proxy(self.postgres.dsn))
            self.to_temporal = await undo.enter_async_context(Proxy(f"tcp://{self.temporal.address}"))
            await self.service.open()
            undo.push_async_callback(self.service.close)
            self.direct = Settings(
                data_dir=self.data_dir,
                database_url=self.postgres.dsn,
                temporal=TemporalSettings(self.temporal.address),
                checkpoint_dir=self.data_dir / "checkpoints",
                pool_workers=2,
                external_services={"archive": f"http://127.0.0.1:{self.service.port}/"},
            )
            self._proxied = replace(
                self.direct, database_url=self.to_postgres.url, temporal=TemporalSettings(self.to_temporal.address)
            )
            undo.push_async_callback(self._stop_workers)
            self.workers += [self._start_worker() for _ in range(WORKERS)]
            self._exit = undo.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exit.aclose()

    async def _stop_workers(self) -> None:
        for worker in [*self.workers, *self.fallen]:
            await asyncio.to_thread(worker.close)  # their way to the servers leads through our loop

    @property
    def postgres(self) -> PostgresRecord:
        found = self.stack.status().postgres
        assert found
        return found

    @property
    def temporal(self) -> TemporalRecord:
        found = self.stack.status().temporal
        assert found
        return found

    def environment(self) -> dict[str, str]:
        """For commands that a person would type, with nothing in between."""
        return {**os.environ, **self.direct.environment()}

    async def up(self) -> None:
        """Start again what does not run, as a person or a service manager would; not two of them at once."""
        async with self._mending:
            await persistently(self.stack.up, "the servers are up again")

    def _start_worker(self) -> ChaosWorker:
        return ChaosWorker(self._proxied, "--supervise")

    def bring_back(self, dead: ChaosWorker) -> None:
        """Another supervised worker in the place of one whose supervisor was killed."""
        self.workers[self.workers.index(dead)] = self._start_worker()
        self.fallen.append(dead)

    def worker_pids(self) -> list[int]:
        """Of the processes that poll for work, in a stable order."""
        alive = live_workers(self.data_dir)
        return [alive[slot] for slot in sorted(alive)]

    def zygotes(self) -> list[psutil.Process]:
        """The processes that the pools' children are forked from: a supervisor's, or a worker's own after its loss."""
        return [
            child
            for owner in [*(worker.process.pid for worker in self.workers), *self.worker_pids()]
            for child in children(owner)
            if any("zygote" in argument for argument in command_line(child))
        ]

    def pool_children(self) -> list[psutil.Process]:
        return [child for zygote in self.zygotes() for child in children(zygote.pid)]

    def backends(self) -> list[psutil.Process]:
        """The processes of Postgres that serve the workers."""
        server = self.postgres.process
        return [
            child
            for child in (children(server.pid) if server else [])
            if any("idle" in line or "COMMIT" in line or "INSERT" in line for line in command_line(child))
        ]

    async def ask(self, question: Callable[[PipelineOrchestrator], Awaitable[Answer]], what: str) -> Answer:
        """Ask over a connection of its own, again and again until there is an answer."""

        async def once() -> Answer:
            async with PipelineOrchestrator(self.direct, own_worker=False) as orchestrator:
                return await question(orchestrator)

        return await persistently(once, what)

    async def glance(self, question: Callable[[PipelineOrchestrator], Awaitable[Answer]]) -> Answer | None:
        """Ask once; None if nobody can answer just now."""
        try:
            async with asyncio.timeout(2.0), PipelineOrchestrator(self.direct, own_worker=False) as orchestrator:
                return await question(orchestrator)
        except (PerdureError, RPCError, OSError, RuntimeError):
            return None


async def persistently(action: Callable[[], Awaitable[Answer]], what: str) -> Answer:
    """Until it succeeds.

    Raises:
        AssertionError: it never did.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await action()
        except (PerdureError, RPCError, OSError, RuntimeError) as error:
            if time.monotonic() > deadline:
                raise AssertionError(f"waited in vain until {what}: {error}") from error
        await asyncio.sleep(0.2)


def children(pid: int) -> list[psutil.Process]:
    """Alive and in a stable order."""
    try:
        found = psutil.Process(pid).children()
    except psutil.Error:
        return []
    return sorted((one for one in found if is_alive(one)), key=lambda one: one.pid)


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def command_line(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
