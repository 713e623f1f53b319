"""The worker's program waits for the database, its parent, and work to be handed back."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.reconcile import Recorded
from orchestration.program import run
from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from orchestration.stores import Stores
from orchestration.worker.slot import dead_lives, live_workers
from perdure.errors import DependencyUnavailable

SECONDS = 15.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path, database_url="", temporal=TemporalSettings("temporal.example:7233"), task_queue="papers"
    )


class Database:
    """A database that is away for some migrations."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, away_for: int) -> None:
        self.away_for = away_for
        self.migrations = 0
        monkeypatch.setattr(run, "apply_migrations", self._apply)
        monkeypatch.setattr(run, "MIGRATE_AGAIN_SECONDS", 0.001)

    async def _apply(self, _: str) -> list[str]:
        self.migrations += 1
        if self.migrations <= self.away_for:
            raise DependencyUnavailable("Postgres", "connection refused")
        return ["0001"]


class Reconciler:
    """Takes the place of `reconcile`; fails if the server is away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, database: Database, *, away: bool = False) -> None:
        self.queues: list[str | None] = []
        self.migrations_before = 0
        self._database = database
        self._away = away
        monkeypatch.setattr(run, "reconcile", self._reconcile)

    async def _reconcile(self, _client: object, _stores: object, task_queue: str | None) -> list[Recorded]:
        self.queues.append(task_queue)
        self.migrations_before = self._database.migrations
        if self._away:
            raise RPCError("connection refused", RPCStatusCode.UNAVAILABLE, b"")
        return []


@pytest.mark.parametrize("away", [False, True])
async def test_worker_migrates_as_soon_as_the_database_is_there_and_then_reconciles(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, *, away: bool
) -> None:
    database = Database(monkeypatch, away_for=3)
    reconciler = Reconciler(monkeypatch, database, away=away)
    await run._prepare(settings, cast("Any", None), cast("Stores", None))
    assert database.migrations == 4, "migrated once: a database that appears later may be a backup in restoration"
    assert reconciler.queues == ["papers"], "runs of other task queues belong to other installations"
    assert reconciler.migrations_before == 4


async def test_worker_stops_when_its_parent_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PARENT_CHECK_SECONDS", 0.001)
    stop = asyncio.Event()
    watching = asyncio.create_task(run._stop_with_parent(os.getppid(), stop))
    for _ in range(20):
        await asyncio.sleep(0.001)
        assert not stop.is_set()
    monkeypatch.setattr(os, "getppid", lambda: 1_000_000)
    async with asyncio.timeout(SECONDS):
        await stop.wait()
        await watching


class Ends:
    """Records the order in which a worker ends its parts, and the slots held meanwhile."""

    def __init__(self, settings: Settings) -> None:
        self.order: list[str] = []
        self._settings = settings

    def end(self, part: str) -> None:
        alive = set(live_workers(self._settings.data_dir).values()) == {os.getpid()}
        self.order.append(f"{part}, slot held" if alive else f"{part}, slot free")


async def test_worker_that_cannot_connect_gives_its_slot_back_after_everything_else(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """While a part of the worker can write, no other worker may call the worker dead."""
    ends = Ends(settings)

    class Pool:
        def start(self) -> None:
            pass

        async def aclose(self) -> None:
            ends.end("pool")

    class OpenStores:
        pool = None

        async def close(self) -> None:
            ends.end("stores")

    async def refuse(*_: object, **__: object) -> None:
        ends.end("connection refused")
        raise ConnectionRefusedError

    monkeypatch.setattr(run, "open_document_pool", lambda *_, **__: Pool())
    monkeypatch.setattr(run, "open_stores", lambda _: OpenStores())
    monkeypatch.setattr(run, "connect", refuse)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with pytest.raises(ConnectionRefusedError):
        await run.run_worker(settings)
    for number, handler in handlers.items():  # those of the session, which the worker has replaced
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, handler)
    assert ends.order == ["connection refused, slot held", "pool, slot held", "stores, slot held"]
    assert live_workers(settings.data_dir) == {}
    with dead_lives(settings.data_dir) as dead:
        assert dead == [], "a worker that stops in order leaves nothing to reclaim"
