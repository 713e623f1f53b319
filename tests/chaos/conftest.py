"""Fixtures: documents, the outputs of an undisturbed run over them, servers, and workers."""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from tests.chaos.checker import check
from tests.chaos.disturbed_run import Place
from tests.chaos.gate import Gate
from tests.chaos.own_servers import OwnServers
from tests.chaos.papers import write_documents
from tests.chaos.short_histories import ShortHistories
from tests.chaos.workers import ChaosWorker
from workflows.messages import PipelineOptions


@pytest.fixture(scope="session")
def documents(session_dir: Path) -> Path:
    """A folder of 10 small documents."""
    return write_documents(session_dir / "chaos-documents", 10)


@pytest.fixture(scope="session")
def undisturbed_settings(
    session_dir: Path, postgres_server: EmbeddedPostgres, _template: str, temporal_server: TemporalSettings
) -> Settings:
    """The settings of the run "undisturbed"; tests read this run and must not change it."""
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
    """The outputs of an undisturbed run over the same documents."""
    settings = undisturbed_settings

    async def run() -> dict[str, tuple[int, str]]:
        worker = ChaosWorker(settings)
        try:
            async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
                await orchestrator.start([str(documents)], workflow_id="undisturbed")
                await orchestrator.wait("undisturbed")
                finished = await check(orchestrator, "undisturbed")
        finally:
            worker.close()
        empty = [kind for kind, (rows, _) in finished.outputs.items() if not rows]
        assert not empty, f"the undisturbed run has no {', '.join(empty)}, so a comparison would prove nothing"
        return finished.outputs

    return asyncio.run(run())


@pytest.fixture
def workflow_id() -> str:
    """A new workflow id."""
    return f"chaos-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def start_worker(settings: Settings) -> Iterator[Callable[..., ChaosWorker]]:
    """A function that starts a plain worker, or a worker armed with the given fail-point."""
    started: list[ChaosWorker] = []

    def start(point: str | None = None, nth: int = 1) -> ChaosWorker:
        worker = ChaosWorker.armed(settings, point, nth) if point else ChaosWorker(settings)
        started.append(worker)
        return worker

    yield start
    Gate(settings.data_dir).open()  # a worker ends after its activities in flight
    for worker in started:
        worker.close()


@pytest.fixture
def two_at_a_time() -> PipelineOptions:
    """Options with a concurrency of 2."""
    return PipelineOptions(concurrency=2)


@pytest.fixture(scope="session")
def short_histories(session_dir: Path) -> Iterator[ShortHistories]:
    """A Temporal server with short histories, which the test starts by `up`."""
    server = ShortHistories(session_dir / "short-histories")
    yield server
    asyncio.run(server.down())


@pytest.fixture(scope="session")
def own_servers(session_dir: Path) -> Iterator[OwnServers]:
    """Started servers that a test may kill and whose data a test may delete."""
    servers = OwnServers(session_dir / "own-servers")
    asyncio.run(servers.up())
    yield servers
    asyncio.run(servers.down())


@pytest.fixture(scope="session")
def _session_place(own_servers: OwnServers, session_dir: Path) -> Iterator[Place]:
    place = Place(own_servers.settings(session_dir / "disturbed"))
    yield place
    place.close()


@pytest.fixture
def place(own_servers: OwnServers, _session_place: Place) -> Place:
    """The data folder and database of runs that lose their servers, with started servers.

    An earlier test may have started the worker of the place.
    """
    asyncio.run(own_servers.up())
    return _session_place
