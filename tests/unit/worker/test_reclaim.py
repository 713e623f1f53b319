"""A worker fails the activities of dead workers and no others, whatever the server does."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestration.worker import reclaim as product
from orchestration.worker.reclaim import keep_reclaiming, reclaim
from orchestration.worker.slot import WorkerSlot, dead_lives, take_slot
from tests.unit.worker.recorded_server import SCHEDULED, RecordedServer, pending, running, until
from workflows.calls import WORKER_DIED

QUEUE = "papers"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> RecordedServer:
    monkeypatch.setattr(product, "LOOK_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(product, "LOOK_AGAIN_SECONDS", (0.01, 0.01))
    return RecordedServer()


class Folder:
    """A data folder with the slots of workers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._taken: list[WorkerSlot] = []

    def take_slot(self) -> WorkerSlot:
        """Start the life of a worker."""
        self._taken.append(take_slot(self.path))
        return self._taken[-1]

    def die(self, slot: WorkerSlot) -> str:
        """Release the lock of a slot as the kernel does at the end of its process.

        Return the dead identity.
        """
        slot._lock.close()
        return slot.identity

    def close(self) -> None:
        for slot in self._taken:
            slot._lock.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path)
    yield folder
    folder.close()


@pytest.fixture(params=["by another worker", "by the next holder of the slot"])
def reclaimer(request: pytest.FixtureRequest, folder: Folder) -> tuple[WorkerSlot, str]:
    """The slot of a worker that is to reclaim a dead worker, and the dead identity."""
    first = folder.take_slot()
    if request.param == "by another worker":
        slot = folder.take_slot()
        return slot, folder.die(first)
    dead = folder.die(first)
    return folder.take_slot(), dead


def list_dead(folder: Folder) -> list[str]:
    """Return the dead identities that a worker would reclaim; no activity is reclaimed."""
    identities: list[str] = []
    with contextlib.suppress(InterruptedError), dead_lives(folder.path) as dead:
        identities += dead
        raise InterruptedError
    return identities


@asynccontextmanager
async def reclaiming(server: RecordedServer, slot: WorkerSlot, folder: Folder) -> AsyncIterator[None]:
    """Let a worker reclaim until the end of the block, and kill it there."""
    async with running(keep_reclaiming(server.client, slot, folder.path, QUEUE)):
        yield


@pytest.mark.parametrize(
    ("heard", "left_to_the_server"),
    [
        ({"started_ago": 0.0}, False),
        ({"started_ago": 20.0}, False),
        ({"started_ago": 90.0, "heard_ago": 20.0}, False),
        ({"started_ago": 90.0, "heartbeat_timeout": 0.0}, False),
        ({"started_ago": 29.5}, True),
        ({"started_ago": 90.0, "heard_ago": 29.5}, True),
        ({"started_ago": 90.0, "heard_ago": 31.0}, True),
    ],
)
async def test_activity_about_to_time_out_is_left_to_the_server(
    server: RecordedServer, heard: dict[str, Any], left_to_the_server: bool
) -> None:
    """The server may start the next attempt at this moment, and a failure by id would hit it."""
    server.runs = {"run": [pending("1", "dead", **heard)]}
    reclaimed = await reclaim(server.client, ["dead"], QUEUE)
    assert reclaimed.activities == len(server.failed) == (0 if left_to_the_server else 1)


async def test_only_started_activities_of_dead_workers_are_failed(server: RecordedServer) -> None:
    server.runs = {
        "first": [pending("1", "alive"), pending("2", "dead"), pending("3", "dead", state=SCHEDULED)],
        "second": [pending("1", "dead too"), pending("2", "alive")],
    }
    await reclaim(server.client, ["dead", "dead too"], QUEUE)
    assert sorted(server.failed) == [("first", "2"), ("second", "1")]
    assert sorted(server.freed) == ["first", "second"]


async def test_only_open_runs_of_the_task_queue_are_listed(server: RecordedServer) -> None:
    await reclaim(server.client, ["dead"], QUEUE)
    (query,) = server.queries
    assert f'TaskQueue="{QUEUE}"' in query
    assert 'ExecutionStatus="Running"' in query


async def test_reclaimed_activity_is_retried_at_once_as_worker_death(server: RecordedServer) -> None:
    server.runs = {"run": [pending("1", "dead")]}
    await reclaim(server.client, ["dead"], QUEUE)
    (failure,) = server.failures
    assert failure.type == WORKER_DIED
    assert not failure.non_retryable
    assert failure.next_retry_delay
    assert failure.next_retry_delay.total_seconds() < 0.1


async def test_run_that_has_just_ended_hides_no_other_run(server: RecordedServer) -> None:
    server.runs = {name: [pending("1", "dead")] for name in ("ended", "first", "second")}
    server.ended = {"ended"}
    reclaimed = await reclaim(server.client, ["dead"], QUEUE)
    assert sorted(server.failed) == [("first", "1"), ("second", "1")]
    assert (reclaimed.runs, reclaimed.activities) == (2, 2)


async def test_absent_server_is_asked_again_until_it_answers(
    server: RecordedServer, reclaimer: tuple[WorkerSlot, str], folder: Folder
) -> None:
    slot, dead = reclaimer
    server.runs = {"run": [pending("1", dead)]}
    server.away_for = 5
    async with reclaiming(server, slot, folder):
        await until(lambda: bool(server.failed))


async def test_worker_killed_while_it_reclaims_leaves_the_dead_to_others(
    server: RecordedServer, reclaimer: tuple[WorkerSlot, str], folder: Folder
) -> None:
    slot, dead = reclaimer
    server.answers.clear()
    async with reclaiming(server, slot, folder):
        await until(lambda: bool(server.queries))
    folder.die(slot)
    assert set(list_dead(folder)) == {dead, slot.identity}


async def test_two_workers_do_not_reclaim_one_dead_worker_at_once(server: RecordedServer, folder: Folder) -> None:
    slot = folder.take_slot()
    folder.die(folder.take_slot())
    server.answers.clear()
    async with reclaiming(server, slot, folder):
        await until(lambda: bool(server.queries))
        assert list_dead(folder) == []


async def test_activity_shown_as_started_with_a_delay_is_reclaimed(
    server: RecordedServer, reclaimer: tuple[WorkerSlot, str], folder: Folder
) -> None:
    slot, dead = reclaimer
    server.runs = {"run": []}
    async with reclaiming(server, slot, folder):
        await until(lambda: bool(server.described))
        server.runs = {"run": [pending("1", dead)]}
        await until(lambda: bool(server.failed))


async def test_reclaimed_lives_are_forgotten(
    server: RecordedServer, reclaimer: tuple[WorkerSlot, str], folder: Folder
) -> None:
    slot, dead = reclaimer
    files = list(slot.lock_file.parent.iterdir())
    async with reclaiming(server, slot, folder):
        await until(lambda: not any(dead in path.read_text() for path in files))
    folder.die(slot)
    assert list_dead(folder) == [slot.identity]


async def test_later_deaths_are_found_even_after_the_folder_was_unreadable(
    server: RecordedServer, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    slot = folder.take_slot()
    broken = slot.lock_file.with_name("worker-9.lock")
    broken.symlink_to(folder.path / "missing")
    async with reclaiming(server, slot, folder):
        await until(lambda: "could not look for dead workers" in caplog.text)
        broken.unlink()
        for number in range(2):
            dead = folder.die(folder.take_slot())
            server.runs = {f"run-{number}": [pending("1", dead)]}
            failed = (f"run-{number}", "1")
            await until(lambda failed=failed: failed in server.failed)  # type: ignore[misc]
