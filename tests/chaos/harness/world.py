"""The servers, proxies, web service and workers of a chaos session; no other test uses them."""

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
ANSWER_SECONDS = 5.0
PATIENCE_SECONDS = 120.0
"""Longest wait for an action that must succeed after all faults are undone."""
CONNECT_SECONDS = 10.0

Answer = TypeVar("Answer")


class Service:
    """A web service whose health the checkpoints of a run record; a fault closes it."""

    def __init__(self) -> None:
        self.port = 0

    async def open(self) -> None:
        """Listen on a free port, and on the same port after each `close`."""
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening."""
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 {HTTPStatus.NO_CONTENT.value} No Content\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        writer.close()


class World:
    """Starts servers, proxies and workers on entering, and stops all of them on leaving.

    Args:
        folder: for the servers' data, checkpoint files and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder
        self.stack = EmbeddedStack(folder, default_ports=False, say=lambda _: None)
        self.service = Service()
        self.workers: list[ChaosWorker] = []
        self.fallen: list[ChaosWorker] = []
        """Workers whose supervisor was killed."""
        self._starting = asyncio.Lock()
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
            # The event loop must stay free, because it runs the proxies through which the workers reach the servers.
            await asyncio.to_thread(worker.close)

    @property
    def postgres(self) -> PostgresRecord:
        """The record of the Postgres server."""
        record = self.stack.status().postgres
        assert record
        return record

    @property
    def temporal(self) -> TemporalRecord:
        """The record of the Temporal server."""
        record = self.stack.status().temporal
        assert record
        return record

    def environment(self) -> dict[str, str]:
        """Return the environment of a command that reaches the servers without proxies."""
        return {**os.environ, **self.direct.environment()}

    async def up(self) -> None:
        """Start the servers that do not run; concurrent calls wait for each other."""
        async with self._starting:
            await retry_until_success(self.stack.up, "the servers are up again")

    def _start_worker(self) -> ChaosWorker:
        return ChaosWorker(self._proxied, "--supervise")

    def replace_supervisor(self, dead: ChaosWorker) -> None:
        """Start another supervised worker in the place of one whose supervisor was killed."""
        self.workers[self.workers.index(dead)] = self._start_worker()
        self.fallen.append(dead)

    def list_worker_pids(self) -> list[int]:
        """Return the ids of the processes that poll for work, in the order of their slots."""
        alive = live_workers(self.data_dir)
        return [alive[slot] for slot in sorted(alive)]

    def list_zygotes(self) -> list[psutil.Process]:
        """Return the live zygotes of the supervisors and of the workers.

        A worker starts its own zygote after the loss of its supervisor's zygote.
        """
        return [
            child
            for owner in [*(worker.process.pid for worker in self.workers), *self.list_worker_pids()]
            for child in list_children(owner)
            if any("zygote" in argument for argument in read_command_line(child))
        ]

    def list_pool_children(self) -> list[psutil.Process]:
        """Return the live children that process documents."""
        return [child for zygote in self.list_zygotes() for child in list_children(zygote.pid)]

    def list_backends(self) -> list[psutil.Process]:
        """Return the Postgres processes that serve the workers' connections."""
        server = self.postgres.process
        return [
            child
            for child in (list_children(server.pid) if server else [])
            if any("idle" in line or "COMMIT" in line or "INSERT" in line for line in read_command_line(child))
        ]

    async def ask(self, question: Callable[[PipelineOrchestrator], Awaitable[Answer]], what: str) -> Answer:
        """Call `question` with a new orchestrator, and retry until it returns an answer.

        Args:
            question: what to ask.
            what: the expected state, for the message of the AssertionError.
        """
        return await retry_until_success(lambda: self._connect_and_ask(question), what)

    async def ask_once(self, question: Callable[[PipelineOrchestrator], Awaitable[Answer]]) -> Answer | None:
        """Call `question` with a new orchestrator; None if there is no answer within `ANSWER_SECONDS`.

        A call that does not end after its cancellation is left behind, because its caller must not stop.
        """
        asking = asyncio.create_task(self._connect_and_ask(question))
        try:
            await asyncio.wait({asking}, timeout=ANSWER_SECONDS)
            return asking.result() if asking.done() else None
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if caller is None or caller.cancelling() or not asking.cancelled():
                raise
            return None  # the call cancelled itself, for example at the loss of a connection
        except (PerdureError, RPCError, OSError, RuntimeError):
            return None
        finally:
            asking.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            asking.cancel()

    async def _connect_and_ask(self, question: Callable[[PipelineOrchestrator], Awaitable[Answer]]) -> Answer:
        async with PipelineOrchestrator(self.direct, own_worker=False) as orchestrator:
            return await question(orchestrator)


async def retry_until_success(action: Callable[[], Awaitable[Answer]], what: str) -> Answer:
    """Call `action` until it succeeds, and return its result.

    Raises:
        AssertionError: every call failed for `PATIENCE_SECONDS`.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await action()
        except (PerdureError, RPCError, OSError, RuntimeError) as error:
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not true after {PATIENCE_SECONDS:.0f} s: {error}") from error
        await asyncio.sleep(0.2)


def list_children(pid: int) -> list[psutil.Process]:
    """Return the live children of a process, by process id; empty if the process is gone."""
    try:
        processes = psutil.Process(pid).children()
    except psutil.Error:
        return []
    return sorted((process for process in processes if is_alive(process)), key=lambda process: process.pid)


def is_alive(process: psutil.Process) -> bool:
    """Return whether the process exists and is no zombie."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def read_command_line(process: psutil.Process) -> list[str]:
    """Return the arguments of a process; empty if the process is gone."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
