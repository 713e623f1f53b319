"""P2: Postgres refuses the late writes of a worker that was stopped and replaced."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.settings import Settings
from tests.chaos.checker import check
from tests.chaos.outputs import outputs
from tests.chaos.papers import write_documents
from tests.chaos.workers import ChaosWorker
from workflows.messages import PipelineOptions

pytestmark = pytest.mark.slow

OPTIONS = PipelineOptions(concurrency=2, heartbeat_timeout_seconds=3)
STOPPED = {
    ("K3", 4): "before a document's transaction",
    ("K4", 4): "in a document's transaction, before COMMIT",
    ("K6", 3): "in a checkpoint's transaction, before COMMIT",
    ("discovering", 1): "before discovery",
    ("resolving", 1): "in the transaction that resolves identities",
    ("closing", 1): "before the run is closed",
}
"""Fail-point and count of its calls, to a description for the assertion message."""
_ROWS = """SELECT position, status, epoch, dispatch, attempt, attempts, committed_at, xmin::text
           FROM documents WHERE workflow_id = $1 ORDER BY position"""


@pytest.fixture
def places(settings: Settings) -> Iterator[Callable[[str], "Place"]]:
    """A function that makes a place by name; the fixture stops all workers of the places."""
    made: list[Place] = []

    def make(name: str) -> Place:
        made.append(Place(settings, name))
        return made[-1]

    yield make
    for place in made:
        place.close()


class Place:
    """A data folder and a task queue, on the database of the test."""

    def __init__(self, settings: Settings, name: str) -> None:
        folder = settings.data_dir / name
        folder.mkdir()
        self.settings = replace(
            settings, data_dir=folder, checkpoint_dir=folder / "checkpoints", task_queue=f"{settings.task_queue}-{name}"
        )
        self._workers: list[ChaosWorker] = []

    def start_zombie(self, point: str, nth: int) -> ChaosWorker:
        """Start a worker that stops itself at the `nth` call of a fail-point."""
        self._workers.append(ChaosWorker.armed(self.settings, point, nth, stop=True))
        return self._workers[-1]

    def start_worker(self) -> ChaosWorker:
        """Start a plain worker."""
        self._workers.append(ChaosWorker(self.settings))
        return self._workers[-1]

    def close(self) -> None:
        """Stop all workers of this place."""
        for worker in self._workers:
            worker.close()


async def read_everything(orchestrator: PipelineOrchestrator, workflow_id: str) -> tuple[Any, ...]:
    """Return all stored data of a run, and the transaction id of each document's row."""
    async with orchestrator.stores.pool.connection() as conn:
        rows = [tuple(row) for row in await conn.fetch(_ROWS, workflow_id)]
        run = tuple(await conn.fetchrow("SELECT * FROM runs WHERE workflow_id = $1", workflow_id) or ())
    chain = [await store.list(workflow_id) for store in orchestrator.stores.checkpoints]
    return rows, run, chain, await outputs(orchestrator.stores.pool, workflow_id)


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    """A folder of 7 documents; the run quarantines the empty document."""
    folder = write_documents(tmp_path / "papers", 6)
    (folder / "03-empty.txt").touch()
    return folder


async def assert_zombie_changes_nothing(place: Place, point: str, nth: int, papers: Path) -> None:
    """Assert that a worker stopped at a fail-point changes nothing when it continues.

    Another worker ends the run before the stopped worker continues.
    """
    workflow_id = f"{point}-{place.settings.task_queue}"
    zombie = place.start_zombie(point, nth)
    async with PipelineOrchestrator(place.settings, own_worker=False) as orchestrator:
        await orchestrator.start([str(papers)], workflow_id=workflow_id, options=OPTIONS)
        await asyncio.to_thread(zombie.wait_until_stopped)
        place.start_worker()
        await orchestrator.wait(workflow_id)
        before = await read_everything(orchestrator, workflow_id)
        zombie.go_on()
        await asyncio.to_thread(zombie.wait_until_interrupted_activities_ended)
        assert await read_everything(orchestrator, workflow_id) == before, f"stopped {STOPPED[point, nth]}"
        await check(orchestrator, workflow_id, status="completed_with_failures")


@pytest.mark.parametrize("points", [list(STOPPED)[:3], list(STOPPED)[3:]], ids=["documents", "the run itself"])
async def test_worker_continued_after_the_end_of_the_run_changes_nothing(
    points: list[tuple[str, int]], papers: Path, places: Callable[[str], Place]
) -> None:
    """The fail-points run concurrently, because most of the time is waiting for timeouts."""
    await asyncio.gather(*[assert_zombie_changes_nothing(places(point), point, nth, papers) for point, nth in points])


async def test_continued_worker_processes_the_next_run(
    documents: Path, undisturbed: dict[str, tuple[int, str]], workflow_id: str, places: Callable[[str], Place]
) -> None:
    place = places("alone")
    zombie = place.start_zombie("K4", 2)
    async with PipelineOrchestrator(place.settings, own_worker=False) as orchestrator:
        await orchestrator.start([str(documents)], workflow_id=workflow_id, options=OPTIONS)
        await asyncio.to_thread(zombie.wait_until_stopped)
        other = place.start_worker()
        await orchestrator.wait(workflow_id)
        zombie.go_on()
        other.kill()
        await orchestrator.start([str(documents)], workflow_id=f"{workflow_id}-next")
        await orchestrator.wait(f"{workflow_id}-next")  # the continued worker is the only live worker
        for run in (workflow_id, f"{workflow_id}-next"):
            await check(orchestrator, run, expected=undisturbed)
