"""`worker.py --supervise` brings its worker back; a crash loop backs off and says why; nobody outlives anybody."""

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

SECONDS = 20.0


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@contextmanager
def supervised(settings: Settings) -> Iterator[ChaosWorker]:
    supervisor = ChaosWorker(settings, "--supervise")
    try:
        yield supervisor
    finally:
        supervisor.close()


def its_worker(settings: Settings, *, after: int = 0) -> int:
    """Process id of the worker that lives now and is not the one before."""
    until(lambda: bool(set(live_workers(settings.data_dir).values()) - {after}), "a worker")
    (found,) = live_workers(settings.data_dir).values()
    return found


async def test_a_run_whose_supervised_worker_is_killed_again_and_again_ends_like_one_that_was_not(
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
            worker = its_worker(settings, after=worker)
            await asyncio.sleep(0.4)
            os.kill(worker, signal.SIGKILL)
        await orchestrator.wait(workflow_id)
        assert supervisor.process.poll() is None
        assert supervisor.log.read_text().count("was killed by SIGKILL") == 3
        assert supervisor.stop() == 0
        supervisor.assert_no_orphans()
    await check(orchestrator, workflow_id, expected=undisturbed)


def test_nothing_survives_a_killed_supervisor_for_long(settings: Settings) -> None:
    with supervised(settings) as supervisor:
        its_worker(settings)
        supervisor.process.kill()
        supervisor.process.wait()
        until(lambda: not supervisor.family(), "its worker stops in order")
        assert live_workers(settings.data_dir) == {}


def test_a_worker_that_was_asked_to_stop_is_not_brought_back(settings: Settings) -> None:
    with supervised(settings) as supervisor:
        os.kill(its_worker(settings), signal.SIGTERM)
        assert supervisor.process.wait(SECONDS) == 0
        supervisor.assert_no_orphans()


def test_a_killed_parsers_fork_server_is_replaced(settings: Settings) -> None:
    with supervised(settings) as supervisor:
        worker = its_worker(settings)
        (zygote,) = [one for one in supervisor.family() if "zygote" in " ".join(one.cmdline())]
        zygote.kill()
        os.kill(worker, signal.SIGKILL)
        its_worker(settings, after=worker)
        until(
            lambda: any("zygote" in " ".join(one.cmdline()) for one in supervisor.family() if one.pid != zygote.pid),
            "a new one",
        )


def test_a_crash_loop_backs_off_and_says_why(settings: Settings) -> None:
    nowhere = replace(settings, temporal=TemporalSettings(f"{HOST}:9"))
    with supervised(nowhere) as supervisor:
        until(lambda: "3 times in a row" in supervisor.log.read_text(), "three short lives")
        said = [line for line in supervisor.log.read_text().splitlines() if "The next one starts" in line]
        assert all("No Temporal server can be reached" in line for line in said)
        delays = [float(found) for line in said for found in re.findall(r"starts in ([\d.]+) s", line)]
        assert delays == sorted(delays)
        assert len(delays) == len(said)
        assert delays[-1] > delays[0]
        began = time.monotonic()
        assert supervisor.stop() == 0
        assert time.monotonic() - began < SECONDS


def test_what_is_nonsense_for_every_worker_is_refused_at_once(settings: Settings) -> None:
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


def test_the_delay_doubles_up_to_its_limit() -> None:
    delays = [backoff(number) for number in range(40)]
    assert delays[0] == 0
    assert all(b == min(LONGEST_DELAY_SECONDS, 2 * a) for a, b in itertools.pairwise(delays[1:]))
    assert delays[-1] == LONGEST_DELAY_SECONDS
