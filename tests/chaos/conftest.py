"""A small pile of documents, what an uninterrupted run makes of it, and workers that are gone after each test."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from tests.chaos.checker import check
from tests.chaos.disturbed_run import Place
from tests.chaos.own_servers import OwnServers
from tests.chaos.papers import write_documents
from tests.chaos.short_histories import ShortHistories
from tests.chaos.workers import ChaosWorker
from workflows.messages import PipelineOptions


@pytest.fixture(scope="session")
def documents(session_dir: Path) -> Path:
    return write_documents(session_dir / "chaos-documents", 10)


@pytest.fixture(scope="session")
def undisturbed_settings(
    session_dir: Path, postgres_server: EmbeddedPostgres, _template: str, temporal_server: TemporalSettings
) -> Settings:
    """Where the run named "undisturbed" is found; nobody else may change it."""
    postgres_server.create_database("undisturbed", template=_template)
    folder = session_dir / "undisturbed"
    folder.mkdir()
    return Settings(
        data_dir=folder,
        database_url=postgres_server.dsn("undisturbed"),
        temporal=temporal_server,
        task_queue="undisturbed",
        checkpoint_dir=folder / "checkpoints",
        pool_workers=2,
    )


@pytest.fixture(scope="session")
def undisturbed(documents: Path, undisturbed_settings: Settings) -> dict[str, tuple[int, str]]:
    """Outputs of a run over the same documents that nothing disturbed."""
    settings = undisturbed_settings

    async def run() -> dict[str, tuple[int, str]]:
        worker = ChaosWorker(settings)
        try:
            async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
                await orchestrator.start([str(documents)], workflow_id="undisturbed")
                await orchestrator.wait("undisturbed")
                found = await check(orchestrator, "undisturbed")
        finally:
            worker.close()
        assert all(rows for rows, _ in found.outputs.values()), "there is nothing to compare"
        return found.outputs

    return asyncio.run(run())


@pytest.fixture
async def orchestrator(settings: Settings) -> AsyncIterator[PipelineOrchestrator]:
    async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
        yield orchestrator


@pytest.fixture
def workflow_id() -> str:
    return f"chaos-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def start_worker(settings: Settings) -> Iterator[Callable[..., ChaosWorker]]:
    """Starts an ordinary worker, or one that is armed with the fail-point named."""
    started: list[ChaosWorker] = []

    def start(point: str | None = None, nth: int = 1) -> ChaosWorker:
        worker = ChaosWorker.armed(settings, point, nth) if point else ChaosWorker(settings)
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.close()


@pytest.fixture
def two_at_a_time() -> PipelineOptions:
    return PipelineOptions(concurrency=2)


@pytest.fixture(scope="session")
def short_histories(session_dir: Path) -> Iterator[ShortHistories]:
    server = ShortHistories(session_dir / "short-histories")
    yield server
    asyncio.run(server.down())


@pytest.fixture(scope="session")
def own_servers(session_dir: Path) -> Iterator[OwnServers]:
    """Not the session's other servers: these may be killed and emptied."""
    servers = OwnServers(session_dir / "own-servers")
    asyncio.run(servers.up())
    yield servers
    asyncio.run(servers.down())


@pytest.fixture(scope="session")
def _one_place(own_servers: OwnServers, session_dir: Path) -> Iterator[Place]:
    place = Place(own_servers.settings(session_dir / "disturbed"))
    yield place
    place.close()


@pytest.fixture
def place(own_servers: OwnServers, _one_place: Place) -> Place:
    """Where runs lose their own servers, which are up again by now; its worker is the one that saw the last loss."""
    asyncio.run(own_servers.up())
    return _one_place
