"""P2: whoever was stopped, and wakes up when others have done its work, changes nothing: the database refuses it."""

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

AWAKE_SECONDS = 2.0
"""For a zombie to try what it was about to do."""
OPTIONS = PipelineOptions(concurrency=2, heartbeat_timeout_seconds=3)
STOPPED = {
    ("K3", 4): "with the outputs of a document in hand",
    ("K4", 4): "in a document's transaction, before COMMIT",
    ("K6", 3): "in a checkpoint's transaction, before COMMIT",
    ("discovering", 1): "about to discover",
    ("resolving", 1): "in the transaction that resolves identities",
    ("closing", 1): "about to close the run",
}
"""Where, and for the how-manieth time, to how a person would say it."""
_ROWS = """SELECT position, status, epoch, dispatch, attempt, attempts, committed_at, xmin::text
           FROM documents WHERE workflow_id = $1 ORDER BY position"""


@pytest.fixture
def places(settings: Settings) -> Iterator[Callable[[str], "Place"]]:
    """Makes places by name; their workers are gone after the test."""
    made: list[Place] = []

    def make(name: str) -> Place:
        made.append(Place(settings, name))
        return made[-1]

    yield make
    for place in made:
        place.close()


class Place:
    """A data folder and a task queue of its own, on the test's database."""

    def __init__(self, settings: Settings, name: str) -> None:
        folder = settings.data_dir / name
        folder.mkdir()
        self.settings = replace(
            settings, data_dir=folder, checkpoint_dir=folder / "checkpoints", task_queue=f"{settings.task_queue}-{name}"
        )
        self._workers: list[ChaosWorker] = []

    def zombie(self, point: str, nth: int) -> ChaosWorker:
        """A worker that stops itself at this point."""
        self._workers.append(ChaosWorker.armed(self.settings, point, nth, stop=True))
        return self._workers[-1]

    def worker(self) -> ChaosWorker:
        self._workers.append(ChaosWorker(self.settings))
        return self._workers[-1]

    def close(self) -> None:
        for worker in self._workers:
            worker.close()


async def everything(orchestrator: PipelineOrchestrator, workflow_id: str) -> tuple[Any, ...]:
    """All that the run left, down to who wrote which row."""
    async with orchestrator.stores.pool.connection() as conn:
        rows = [tuple(row) for row in await conn.fetch(_ROWS, workflow_id)]
        run = tuple(await conn.fetchrow("SELECT * FROM runs WHERE workflow_id = $1", workflow_id) or ())
    chain = [await store.list(workflow_id) for store in orchestrator.stores.checkpoints]
    return rows, run, chain, await outputs(orchestrator.stores.pool, workflow_id)


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    """Documents of which one is quarantined."""
    folder = write_documents(tmp_path / "papers", 6)
    (folder / "03-empty.txt").touch()
    return folder


async def outlived(place: Place, point: str, nth: int, papers: Path) -> None:
    """Assert that a worker stopped here, whose work another has done, changes nothing when it wakes up."""
    workflow_id = f"{point}-{place.settings.task_queue}"
    zombie = place.zombie(point, nth)
    async with PipelineOrchestrator(place.settings, own_worker=False) as orchestrator:
        await orchestrator.start([str(papers)], workflow_id=workflow_id, options=OPTIONS)
        await asyncio.to_thread(zombie.wait_until_stopped)
        place.worker()
        await orchestrator.wait(workflow_id)
        before = await everything(orchestrator, workflow_id)
        zombie.go_on()
        await asyncio.sleep(AWAKE_SECONDS)
        assert zombie.process.poll() is None, zombie.log.read_text()
        assert await everything(orchestrator, workflow_id) == before, f"stopped {STOPPED[point, nth]}"
        await check(orchestrator, workflow_id, status="completed_with_failures")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("points", [list(STOPPED)[:3], list(STOPPED)[3:]], ids=["documents", "the run itself"])
async def test_a_worker_that_wakes_up_late_changes_nothing(
    points: list[tuple[str, int]], papers: Path, places: Callable[[str], Place]
) -> None:
    """Several at once, each in a place of its own: most of it is waiting for timeouts."""
    await asyncio.gather(*[outlived(places(point), point, nth, papers) for point, nth in points])


async def test_a_worker_that_was_stopped_works_on_when_it_wakes_up(
    documents: Path, undisturbed: dict[str, tuple[int, str]], workflow_id: str, places: Callable[[str], Place]
) -> None:
    place = places("alone")
    zombie = place.zombie("K4", 2)
    async with PipelineOrchestrator(place.settings, own_worker=False) as orchestrator:
        await orchestrator.start([str(documents)], workflow_id=workflow_id, options=OPTIONS)
        await asyncio.to_thread(zombie.wait_until_stopped)
        other = place.worker()
        await orchestrator.wait(workflow_id)
        zombie.go_on()
        other.kill()
        await orchestrator.start([str(documents)], workflow_id=f"{workflow_id}-next")
        await orchestrator.wait(f"{workflow_id}-next")  # nobody else is there to do it
        for one in (workflow_id, f"{workflow_id}-next"):
            await check(orchestrator, one, expected=undisturbed)
