"""P2: whoever was stopped, and wakes up when others have done its work, changes nothing: the database refuses it."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestration.orchestrator import PipelineOrchestrator
from orchestration.settings import Settings
from tests.chaos.checker import check
from tests.chaos.outputs import outputs
from tests.chaos.papers import write_documents
from tests.chaos.workers import ChaosWorker
from workflows.messages import PipelineOptions

AWAKE_SECONDS = 2.0
"""For a zombie to try what it was about to do."""
OPTIONS = PipelineOptions(concurrency=2, heartbeat_timeout_seconds=3)
STOPPED = [
    pytest.param("discovering", 1, id="about to discover"),
    pytest.param("K3", 4, id="with the outputs of a document in hand"),
    pytest.param("K4", 4, id="in a document's transaction, before COMMIT"),
    pytest.param("K6", 3, id="in a checkpoint's transaction, before COMMIT"),
    pytest.param("resolving", 1, id="in the transaction that resolves identities"),
    pytest.param("closing", 1, id="about to close the run"),
]
_ROWS = """SELECT position, status, epoch, dispatch, attempt, attempts, committed_at, xmin::text
           FROM documents WHERE workflow_id = $1 ORDER BY position"""


@pytest.fixture
def start_zombie(settings: Settings) -> Iterator[Callable[[str, int], ChaosWorker]]:
    started: list[ChaosWorker] = []

    def start(point: str, nth: int) -> ChaosWorker:
        started.append(ChaosWorker.armed(settings, point, nth, stop=True))
        return started[-1]

    yield start
    for worker in started:
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


@pytest.mark.timeout(100)
@pytest.mark.parametrize(("point", "nth"), STOPPED)
async def test_a_worker_that_wakes_up_late_changes_nothing(
    point: str,
    nth: int,
    papers: Path,
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    start_worker: Callable[..., ChaosWorker],
    start_zombie: Callable[[str, int], ChaosWorker],
) -> None:
    zombie = start_zombie(point, nth)
    await orchestrator.start([str(papers)], workflow_id=workflow_id, options=OPTIONS)
    await asyncio.to_thread(zombie.wait_until_stopped)
    start_worker()
    await orchestrator.wait(workflow_id)
    before = await everything(orchestrator, workflow_id)
    zombie.go_on()
    await asyncio.sleep(AWAKE_SECONDS)
    assert zombie.process.poll() is None, zombie.log.read_text()
    assert await everything(orchestrator, workflow_id) == before
    await check(orchestrator, workflow_id, status="completed_with_failures")


async def test_a_worker_that_was_stopped_works_on_when_it_wakes_up(
    documents: Path,
    undisturbed: dict[str, tuple[int, str]],
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    start_worker: Callable[..., ChaosWorker],
    start_zombie: Callable[[str, int], ChaosWorker],
) -> None:
    zombie = start_zombie("K4", 2)
    await orchestrator.start([str(documents)], workflow_id=workflow_id, options=OPTIONS)
    await asyncio.to_thread(zombie.wait_until_stopped)
    other = start_worker()
    await orchestrator.wait(workflow_id)
    zombie.go_on()
    other.kill()
    await orchestrator.start([str(documents)], workflow_id=f"{workflow_id}-next")
    await orchestrator.wait(f"{workflow_id}-next")  # nobody else is there to do it
    for one in (workflow_id, f"{workflow_id}-next"):
        await check(orchestrator, one, expected=undisturbed)
