"""A command that starts a worker goes on only with a worker that has taken its slot."""

from pathlib import Path

import psutil
import pytest

from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from orchestration.worker import process
from perdure.errors import RefusedCommand


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with an empty data folder; no server is needed."""
    return Settings(
        data_dir=tmp_path / "data",
        database_url="postgresql://127.0.0.1:9/none",
        temporal=TemporalSettings("127.0.0.1:9"),
        task_queue="none",
    )


def become(program: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the started process run this Python code instead of a worker."""
    (folder / "stand_in.py").write_text(program)
    monkeypatch.setattr(process, "ROOT", folder)
    monkeypatch.setattr(process, "PROGRAM", "stand_in")


async def test_worker_without_a_slot_is_refused_and_killed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    become("import time\ntime.sleep(600)", tmp_path, monkeypatch)
    monkeypatch.setattr(process, "START_SECONDS", 0.1)
    with pytest.raises(RefusedCommand, match=r"not ready after .* see .*worker\.log"):
        await process.WorkerProcess.start(settings)
    assert not [child for child in psutil.Process().children() if "stand_in" in child.cmdline()]


async def test_worker_that_ends_at_once_is_refused(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    become("raise SystemExit(1)", tmp_path, monkeypatch)
    with pytest.raises(RefusedCommand, match=r"did not start; see .*worker\.log"):
        await process.WorkerProcess.start(settings)
