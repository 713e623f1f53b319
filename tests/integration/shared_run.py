"""A database, a data folder and a worker that the tests of one module share.

The module also runs the scripts as processes.
"""

import asyncio
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from tests.chaos.workers import ROOT, ChaosWorker
from tests.integration.command_line import PATIENCE_SECONDS, Ended


@contextmanager
def place(folder: Path, server: EmbeddedPostgres, template: str, temporal: TemporalSettings) -> Iterator[Settings]:
    """Yield settings with which runs can be started; a worker is alive during the block."""
    name = f"shared_{uuid.uuid4().hex[:8]}"
    server.create_database(name, template=template)
    data = folder / name
    data.mkdir()
    settings = Settings(
        data_dir=data,
        database_url=server.dsn(name),
        temporal=temporal,
        task_queue=name,
        checkpoint_dir=data / "checkpoints",
        pool_workers=1,
    )
    worker = ChaosWorker(settings)
    try:
        worker.wait_until_alive()
        yield settings
    finally:
        worker.close()
        server.drop_database(name)


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the environment of a process that uses these settings."""
    return {**os.environ, **settings.environment(), "PYTHONPATH": str(ROOT)}


async def script(settings: Settings, *arguments: str, name: str = "starter.py") -> Ended:
    """Run a script to its end, without blocking the event loop."""
    done = await asyncio.to_thread(
        lambda: subprocess.run(
            [sys.executable, str(ROOT / name), *arguments],
            cwd=ROOT,
            env=environment_of(settings),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)
