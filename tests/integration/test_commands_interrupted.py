"""A run survives each interruption of the command that follows it.

The command `resume` then brings the run to its end.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestration.embedded.process import wait_until
from orchestration.embedded.stack import EmbeddedStack
from orchestration.worker.slot import live_workers
from tests.integration.command_line import PATIENCE_SECONDS, CommandLine, command_line, write_documents
from tests.integration.held_documents import HeldDocuments

DOCUMENTS = 8
HELD = 4
"""The position of the first document that a run cannot finish before the test has acted."""
AWAY_SECONDS = 7.0
"""Length of an outage in which the SDK's client logs its retries, which must not reach the terminal."""


@pytest.fixture(scope="module")
def line(session_dir: Path) -> Iterator[CommandLine]:
    with command_line(session_dir / "interrupted") as started:
        yield started


@pytest.fixture(scope="module")
def slow_documents(session_dir: Path) -> str:
    """Eight documents, each of which takes about a third of a second."""
    return str(write_documents(session_dir / "slow-documents", number=DOCUMENTS, words=4000))


@pytest.fixture
def held(line: CommandLine) -> HeldDocuments:
    """Return what holds a run at the document `HELD` during a block."""
    return HeldDocuments(line.database_url, HELD)


def has_a_document(report: Any) -> bool:
    """Return whether a checkpoint covers a processed document."""
    latest = report["latest_checkpoint"]
    return bool(latest) and latest["processed_documents"] >= 1


def start_and_wait_for_first(line: CommandLine, documents: str, workflow_id: str) -> tuple[subprocess.Popen[str], Any]:
    """Start a run and wait for the checkpoint of its first document; returns the process, and that moment's report."""
    run = line.begin("run", documents, "--workflow-id", workflow_id, "--concurrency", "1")
    report = line.until(workflow_id, has_a_document)
    assert report["documents"]["remaining"] >= DOCUMENTS - HELD
    assert run.poll() is None
    return run, report


def assert_whole(line: CommandLine, workflow_id: str) -> None:
    """Assert that the run is completed and its chain has no gap.

    Together the checkpoints count each document once.
    """
    report = line.report(workflow_id)
    assert report["workflow_status"] == "completed"
    assert report["documents"] == {"total": DOCUMENTS, "processed": DOCUMENTS, "quarantined": 0, "remaining": 0}
    checkpoints = line("checkpoints", "--workflow-id", workflow_id, "--json").json
    assert [checkpoint["metadata"]["sequence"] for checkpoint in checkpoints] == list(range(1, len(checkpoints) + 1))
    assert checkpoints[-1]["processed_documents"] == DOCUMENTS
    # The ranges of a later epoch number only the documents of that epoch.
    if len({checkpoint["metadata"]["epoch"] for checkpoint in checkpoints}) == 1:
        finished = sum(
            end - first for checkpoint in checkpoints for first, end in checkpoint["state_data"]["finished_since_last"]
        )
        assert finished == DOCUMENTS


def test_ctrl_c_leaves_run_resumable(line: CommandLine, held: HeldDocuments, slow_documents: str) -> None:
    with held:
        run, _ = start_and_wait_for_first(line, slow_documents, "ctrl-c")
        run.send_signal(signal.SIGINT)
        stdout, stderr = run.communicate(timeout=PATIENCE_SECONDS)
    assert (run.returncode, stdout) == (130, "")
    assert "starter.py resume --workflow-id ctrl-c" in stderr
    assert "Traceback" not in stderr
    assert live_workers(line.data_dir) == {}
    assert line.report("ctrl-c")["workflow_status"] == "in_progress"
    resumed = line.resume("--workflow-id", "ctrl-c", "--json")
    assert resumed.code == 0, resumed
    assert resumed.json == line.report("ctrl-c")
    assert_whole(line, "ctrl-c")


def test_kill_9_of_command_leaves_run_resumable(line: CommandLine, held: HeldDocuments, slow_documents: str) -> None:
    with held:
        run, _ = start_and_wait_for_first(line, slow_documents, "kill-9")
        run.kill()
        run.communicate()
        assert wait_until(lambda: not live_workers(line.data_dir), PATIENCE_SECONDS), "the worker outlived its command"
    before = line.report("kill-9")
    assert before["documents"]["remaining"] >= 1
    resumed = line.resume("--workflow-id", "kill-9")
    assert resumed.code == 0, resumed
    done = before["documents"]["processed"]
    assert before["latest_checkpoint"]["checkpoint_id"] in resumed.stderr
    assert f"Resuming from document {done + 1} of {DOCUMENTS}" in resumed.stderr
    assert "IdentityService was healthy, and still is." in resumed.stderr
    assert all(re.match(r"\d\d:\d\d:\d\d ", sentence) for sentence in resumed.stderr.splitlines())
    assert_whole(line, "kill-9")


def test_resume_replaces_a_worker_that_is_stopping(line: CommandLine, held: HeldDocuments, slow_documents: str) -> None:
    with held:
        run, _ = start_and_wait_for_first(line, slow_documents, "worker-stops")
        run.kill()
        run.communicate()
    resumed = line.resume("--workflow-id", "worker-stops")  # while the worker of the killed command still has its slot
    assert resumed.code == 0, resumed
    assert_whole(line, "worker-stops")


def test_following_command_replaces_a_killed_worker(
    line: CommandLine, held: HeldDocuments, slow_documents: str
) -> None:
    with held:
        run, _ = start_and_wait_for_first(line, slow_documents, "worker-killed")
        [pid] = live_workers(line.data_dir).values()
        killed = line("kill-worker", "--json")
    assert (killed.code, killed.json) == (0, {"pid": pid}), killed
    run.communicate(timeout=PATIENCE_SECONDS)
    assert run.returncode == 0
    assert_whole(line, "worker-killed")


@pytest.mark.slow
def test_resume_continues_a_paused_run(line: CommandLine, held: HeldDocuments, slow_documents: str) -> None:
    with held:
        run, _ = start_and_wait_for_first(line, slow_documents, "paused")
        assert line("pause", "--workflow-id", "paused").code == 0
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=PATIENCE_SECONDS)
    assert run.returncode == 143
    assert line.report("paused")["workflow_status"] == "paused"
    resumed = line.resume("--workflow-id", "paused")
    assert resumed.code == 0, resumed
    assert_whole(line, "paused")


@pytest.mark.slow
def test_run_waits_for_restart_of_temporal_and_prints_json_only(
    line: CommandLine, held: HeldDocuments, slow_documents: str
) -> None:
    with held:
        run = line.begin("run", slow_documents, "--workflow-id", "restarted", "--concurrency", "1", "--json")
        line.until("restarted", has_a_document)
        stack = EmbeddedStack(line.data_dir)
        temporal = stack.status().temporal
        assert temporal
        assert temporal.process
        os.kill(temporal.process.pid, signal.SIGKILL)
        time.sleep(AWAY_SECONDS)
    asyncio.run(stack.up())
    stdout, stderr = run.communicate(timeout=PATIENCE_SECONDS)
    assert run.returncode == 0, stderr
    assert json.loads(stdout) == line.report("restarted")
    assert "WARN" not in stderr
    assert_whole(line, "restarted")


@pytest.mark.slow
def test_resume_without_temporal_data_starts_from_checkpoint(
    line: CommandLine, held: HeldDocuments, slow_documents: str
) -> None:
    with held:
        run, _ = start_and_wait_for_first(line, slow_documents, "forgotten")
        run.kill()
        run.communicate()
        assert wait_until(lambda: not live_workers(line.data_dir), PATIENCE_SECONDS)
    before = line.report("forgotten")
    assert line("down").code == 0
    for remains in line.data_dir.glob("temporal.db*"):
        remains.unlink()
    asyncio.run(EmbeddedStack(line.data_dir, default_ports=False).up())
    forgotten = line.report("forgotten")
    assert forgotten["documents"] == before["documents"]
    assert forgotten["latest_checkpoint"] == before["latest_checkpoint"]
    resumed = line.resume("--workflow-id", "forgotten")
    assert resumed.code == 0, resumed
    assert "unknown" in resumed.stderr
    assert_whole(line, "forgotten")


@pytest.mark.slow
def test_demo_passes_all_of_its_checks(line: CommandLine, slow_documents: str) -> None:
    ended = line("demo", slow_documents, "--workflow-id", "demonstrated")
    assert ended.code == 0, ended
    assert ended.stdout.count("✓") == 6
    assert "✗" not in ended.stdout
    assert "Killed the worker with SIGKILL" in ended.stderr
