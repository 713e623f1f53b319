"""Failed exports: one sentence for the user, and the earlier files stay."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow.parquet
import pytest

from orchestration.queries.export import export_run
from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from perdure.errors import RefusedCommand
from perdure.services.analytics.export import ExportFormat
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.exports import PostgresExportStore
from tests.integration.command_line import PATIENCE_SECONDS, ROOT
from tests.integration.committed_run import committed
from tests.integration.finished_run import documents, finished
from tests.integration.shared_run import environment_of, script


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[PostgresPool]:
    pool = PostgresPool(database_url)
    yield pool
    await pool.close()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(tmp_path, database_url, TemporalSettings("127.0.0.1:1"))


async def test_running_run_is_exported_without_its_graph(pool: PostgresPool, tmp_path: Path) -> None:
    await committed(pool, "run", documents())
    with pytest.raises(RefusedCommand, match="has no graph yet"):
        await export_run(PostgresExportStore(pool), "run", ExportFormat.JSON, tmp_path / "graph.json", lambda *_: None)
    rows = await export_run(PostgresExportStore(pool), "run", ExportFormat.PARQUET, tmp_path, lambda *_: None)
    assert rows == {"documents": 4, "mentions": 8, "identities": 0, "aliases": 0, "edges": 0, "chunks": 4}
    assert pyarrow.parquet.read_table(tmp_path / "mentions.parquet")["identity_id"].null_count == 8


async def test_unusable_arguments_are_refused_in_one_sentence(settings: Settings, tmp_path: Path) -> None:
    there = tmp_path / "there.json"
    there.write_text("mine")
    for arguments, sentence in (
        (["-f", "xml"], "'xml' is not one of 'graphml', 'json', 'parquet', 'csv'"),
        (["-f", "json", "-w", "ghost", "-o", str(tmp_path / "x")], "No run with the workflow id 'ghost'"),
        (["-f", "json", "-o", str(there)], "exists already"),
    ):
        refused = await script(settings, "export", *arguments)
        assert (refused.code, refused.stdout) == (2, ""), refused
        assert sentence in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    assert {file.name for file in tmp_path.iterdir()} == {"there.json"}
    assert there.read_text() == "mine"


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
async def test_killed_export_leaves_the_earlier_file(
    kill: signal.Signals, pool: PostgresPool, settings: Settings, tmp_path: Path
) -> None:
    await finished(pool, "run")
    target = tmp_path / "out.json"
    target.write_text("before")
    command = [sys.executable, "starter.py", "export", "-w", "run", "-f", "json", "-o", str(target), "--force"]
    async with pool.transaction() as conn:
        await conn.execute("LOCK TABLE graph_edges")  # the export writes the nodes, and then waits for the edges
        process = subprocess.Popen(command, cwd=ROOT, env=environment_of(settings), stderr=subprocess.PIPE)
        while not await conn.fetchval(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'graph_edges'::regclass"
        ):
            assert process.poll() is None
            await asyncio.sleep(0.05)
        process.send_signal(kill)
        _, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    assert b"Traceback" not in stderr
    assert target.read_text() == "before"
    if kill is signal.SIGINT:
        assert process.returncode == 130
        assert {file.name for file in tmp_path.iterdir()} == {"out.json"}


async def test_full_disk_is_reported_and_leaves_no_file(pool: PostgresPool, settings: Settings, tmp_path: Path) -> None:
    await finished(pool, "run")
    for form in ("graphml", "parquet"):
        command = f"ulimit -f 0; exec {sys.executable} starter.py export -w run -f {form} -o {tmp_path}/out"
        done = await asyncio.to_thread(shell, command, settings)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "The export cannot be written: File too large.\n"
        assert list(tmp_path.iterdir()) == []


def shell(line: str, settings: Settings) -> subprocess.CompletedProcess[str]:
    environment = environment_of(settings)
    return subprocess.run(
        ["/bin/sh", "-c", line], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
