"""A client starts a worker process, waits for its slot, and stops it in any state."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from orchestration.worker import process
from orchestration.worker.process import WorkerProcess
from orchestration.worker.slot import live_workers
from perdure.errors import RefusedCommand

SECONDS = 30.0


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(process, "PROGRAM", "tests.unit.worker.slot_program")
    return Settings(data_dir=tmp_path, database_url="x", temporal=TemporalSettings("temporal.example:7233"))


@pytest.fixture
def started() -> Iterator[list[WorkerProcess]]:
    """The processes that a test starts, which are killed at its end."""
    processes: list[WorkerProcess] = []
    yield processes
    for worker in processes:
        worker.kill()


async def test_worker_that_ends_at_once_is_refused_with_its_log(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_WORKER", "refuse")
    with pytest.raises(RefusedCommand, match=r"did not start; see .*worker\.log"):
        await WorkerProcess.start(settings)


async def test_start_returns_when_the_worker_has_its_slot(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, started: list[WorkerProcess]
) -> None:
    """A caller that goes on earlier is refused its next update: no worker is alive by its slot."""
    monkeypatch.setenv("TEST_WORKER", "late")
    starting = asyncio.create_task(WorkerProcess.start(settings))
    async with asyncio.timeout(SECONDS):
        while not (settings.data_dir / "arguments").exists():
            await asyncio.sleep(0.01)
        for _ in range(10):
            await asyncio.sleep(process.START_POLL_SECONDS)
            assert not starting.done(), "the worker has no slot yet"
        (settings.data_dir / "go").touch()
        started.append(await starting)
    assert list(live_workers(settings.data_dir).values()) == [started[0].pid]
    assert (settings.data_dir / "arguments").read_text() == f"--exit-with-parent {os.getpid()}"


async def test_worker_that_ignores_sigterm_is_killed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, started: list[WorkerProcess]
) -> None:
    monkeypatch.setenv("TEST_WORKER", "stubborn")
    monkeypatch.setattr(process, "STOP_SECONDS", 0.2)
    started.append(await WorkerProcess.start(settings))
    async with asyncio.timeout(SECONDS):
        await started[0].stop()
    assert not started[0].alive
    assert live_workers(settings.data_dir) == {}


async def test_worker_is_asked_to_stop_before_it_is_killed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, started: list[WorkerProcess]
) -> None:
    monkeypatch.setenv("TEST_WORKER", "late")
    (settings.data_dir / "go").touch()
    started.append(await WorkerProcess.start(settings))
    await started[0].stop()
    assert started[0]._process.returncode == -signal.SIGTERM
    await started[0].stop()


async def test_worker_of_a_client_is_not_in_the_clients_process_group(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, started: list[WorkerProcess]
) -> None:
    """Ctrl-C is for the program that follows the run; the program then stops the worker."""
    monkeypatch.setenv("TEST_WORKER", "late")
    (settings.data_dir / "go").touch()
    started.append(await WorkerProcess.start(settings))
    assert os.getpgid(started[0].pid) == started[0].pid


def test_relative_paths_in_the_environment_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker runs in another folder."""
    monkeypatch.chdir(tmp_path)
    given = {"TEMPORAL_TLS_CLIENT_CERT_PATH": "keys/cert.pem", "TEMPORAL_CONFIG_FILE": "", "OTHER_PATH": "keys"}
    assert process._with_absolute_paths(given) == {
        "TEMPORAL_TLS_CLIENT_CERT_PATH": str(tmp_path / "keys" / "cert.pem"),
        "TEMPORAL_CONFIG_FILE": "",
        "OTHER_PATH": "keys",
    }
