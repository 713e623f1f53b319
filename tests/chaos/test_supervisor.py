"""`worker.py --supervise` restarts its worker, and leaves no process behind."""

import asyncio
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.embedded.ports import HOST
from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from orchestration.worker.slot import live_workers
from orchestration.worker.supervisor import LONGEST_DELAY_SECONDS, backoff
from tests.chaos.checker import check
from tests.chaos.workers import ROOT, ChaosWorker
from workflows.messages import PipelineOptions

pytestmark = pytest.mark.slow

SECONDS = 120.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait until the condition holds; AssertionError with the text `what` after `SECONDS`."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not true after {SECONDS:.0f} s"
        time.sleep(0.02)


@contextmanager
def supervised(settings: Settings) -> Iterator[ChaosWorker]:
    """Start a supervised worker, and stop it at the end of the block."""
    supervisor = ChaosWorker(settings, "--supervise")
    try:
        yield supervisor
    finally:
        supervisor.close()


def wait_for_worker(settings: Settings, *, after: int = 0) -> int:
    """Wait for a live worker whose process id is not `after`, and return its process id."""
    wait_until(lambda: bool(set(live_workers(settings.data_dir).values()) - {after}), "a worker holds its slot")
    (pid,) = live_workers(settings.data_dir).values()
    return pid


def zygotes_of(supervisor: ChaosWorker) -> list[psutil.Process]:
    """Return the live zygotes that belong to a supervisor."""
    return [process for process in supervisor.family() if "zygote" in " ".join(process.cmdline())]


async def test_run_ends_as_undisturbed_after_supervised_worker_is_killed_3_times(
    documents: Path,
    undisturbed: dict[str, tuple[int, str]],
    settings: Settings,
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
) -> None:
    await orchestrator.start([str(documents)], workflow_id=workflow_id, options=PipelineOptions(concurrency=2))
    with supervised(settings) as supervisor:
        worker = 0
        for _ in range(3):
            worker = wait_for_worker(settings, after=worker)
            await asyncio.sleep(0.4)
            os.kill(worker, signal.SIGKILL)
        await orchestrator.wait(workflow_id)
        assert supervisor.process.poll() is None
        assert supervisor.log.read_text().count("was killed by SIGKILL") == 3
        assert supervisor.stop() == 0
        supervisor.assert_no_orphans()
    await check(orchestrator, workflow_id, expected=undisturbed)


def test_worker_stops_after_its_supervisor_is_killed(settings: Settings) -> None:
    with supervised(settings) as supervisor:
        wait_for_worker(settings)
        supervisor.process.kill()
        supervisor.process.wait()
        wait_until(lambda: not supervisor.family(), "every process of the supervisor has ended")
        assert live_workers(settings.data_dir) == {}


def test_supervisor_ends_with_a_worker_stopped_by_sigterm(settings: Settings) -> None:
    with supervised(settings) as supervisor:
        os.kill(wait_for_worker(settings), signal.SIGTERM)
        assert supervisor.process.wait(SECONDS) == 0
        supervisor.assert_no_orphans()


def test_killed_zygote_is_replaced(settings: Settings) -> None:
    with supervised(settings) as supervisor:
        worker = wait_for_worker(settings)
        (zygote,) = zygotes_of(supervisor)
        zygote.kill()
        os.kill(worker, signal.SIGKILL)
        wait_for_worker(settings, after=worker)
        wait_until(lambda: any(new.pid != zygote.pid for new in zygotes_of(supervisor)), "a new zygote runs")


def test_crash_loop_backs_off_and_logs_its_cause(settings: Settings) -> None:
    unreachable = replace(settings, temporal=TemporalSettings(f"{HOST}:9"))
    with supervised(unreachable) as supervisor:
        wait_until(lambda: "3 times in a row" in supervisor.log.read_text(), "the worker has failed 3 times")
        lines = [line for line in supervisor.log.read_text().splitlines() if "The next one starts" in line]
        assert all("No Temporal server can be reached" in line for line in lines)
        delays = [float(seconds) for line in lines for seconds in re.findall(r"starts in ([\d.]+) s", line)]
        assert delays == sorted(delays)
        assert len(delays) == len(lines)
        assert delays[-1] > delays[0]
        began = time.monotonic()
        assert supervisor.stop() == 0
        assert time.monotonic() - began < SECONDS


def test_supervisor_refuses_wrong_settings_with_exit_code_2(settings: Settings) -> None:
    environment = {**os.environ, **settings.environment(), "PERDURE_POOL_WORKERS": "many"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "worker.py"), "--supervise"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.strip() == "PERDURE_POOL_WORKERS must be a whole number from 1 to 256, not 'many'."


def test_backoff_doubles_up_to_its_limit() -> None:
    delays = [backoff(number) for number in range(40)]
    assert delays[0] == 0
    for former, latter in itertools.pairwise(delays[1:]):
        assert latter == min(LONGEST_DELAY_SECONDS, 2 * former)
    assert delays[-1] == LONGEST_DELAY_SECONDS
