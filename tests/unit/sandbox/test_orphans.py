"""The pool of a killed worker ends, and the start of a pool does not block its worker."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.unit.sandbox.jobs import SLOW_SECONDS

ROOT = Path(__file__).resolve().parents[3]
OWNER = """
import asyncio, sys
from functools import partial
from perdure.sandbox.limits import ProcessLimits
from perdure.sandbox.pool import IsolatedPool
from tests.unit.sandbox.hostile_parsers import misbehave
from tests.unit.sandbox.jobs import LOAD_SLOWLY, SKIP_CONFINEMENT, text_job

async def main():
    stage = sys.argv[1]
    job = text_job(partial(misbehave, 60.0), LOAD_SLOWLY if stage == "loading" else SKIP_CONFINEMENT)
    pool = IsolatedPool(2, ProcessLimits(), job)
    pool.start()
    print(pool._server.pid, flush=True)
    if stage == "warm":
        tasks = [asyncio.create_task(pool.process("file:///x", name, "file:///")) for name in ("spin", "sleep")]
        while len(pool._busy) < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
    print("ready", flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""
STARTER = """
from functools import partial
from perdure.sandbox.limits import ProcessLimits
from perdure.sandbox.pool import IsolatedPool
from tests.unit.sandbox.hostile_parsers import misbehave
from tests.unit.sandbox.jobs import LOAD_SLOWLY, text_job

pool = IsolatedPool(2, ProcessLimits(), text_job(partial(misbehave, 1.0), LOAD_SLOWLY))
pool.start()
pool.close()
"""


@pytest.mark.parametrize("stage", ["loading", "warm"])
def test_no_process_survives_a_killed_owner(stage: str) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER, stage], cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        zygote = psutil.Process(int(owner.stdout.readline()))
        assert owner.stdout.readline() == "ready\n"
        orphans = [zygote, *zygote.children(recursive=True)]
        assert len(orphans) == (3 if stage == "warm" else 1)
        owner.kill()
    _, alive = psutil.wait_procs(orphans, timeout=20)
    left = [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    for process in left:
        process.kill()
    assert left == []


def test_starting_and_closing_a_pool_does_not_wait_for_its_warm_up() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARTER], cwd=ROOT, capture_output=True, text=True, check=True, timeout=SLOW_SECONDS / 3
    )
    assert done.stderr == ""
