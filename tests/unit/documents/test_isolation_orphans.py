"""A worker that is killed takes its pool with it, and its own process never loads what only children need."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[3]
OWNER = """
import asyncio, sys
from perdure.sandbox.pool import IsolatedPool, Limits
from tests.unit.documents.hostile_parsers import misbehave
from tests.unit.documents.opening import open_nothing

async def main():
    pool = IsolatedPool(2, Limits(), misbehave, opener=open_nothing, confined=False)
    pool.start()
    print(pool._server.pid, flush=True)
    if sys.argv[1] == "warm":
        tasks = [asyncio.create_task(pool.process("file:///x", name, "file:///")) for name in ("spin", "sleep")]
        while len(pool._busy) < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
    print("ready", flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""
HEAVY = ("spacy", "wordllama", "kreuzberg", "pypdfium2", "pikepdf", "semchunk", "selectolax", "charset_normalizer")


@pytest.mark.parametrize("stage", ["loading", "warm"])
def test_no_process_survives_a_killed_owner(stage: str) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER, stage], cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        server = psutil.Process(int(owner.stdout.readline()))
        assert owner.stdout.readline() == "ready\n"
        orphans = [server, *server.children(recursive=True)]
        assert len(orphans) == (3 if stage == "warm" else 1)
        owner.kill()
    _, alive = psutil.wait_procs(orphans, timeout=2)
    left = [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    for process in left:
        process.kill()
    assert left == []


def test_the_pools_owner_imports_nothing_heavy() -> None:
    program = (
        "import sys, perdure.sandbox.pool, perdure.documents.discovery, perdure.documents.processing\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_starting_a_pool_returns_at_once() -> None:
    program = (
        "import time\nfrom perdure.sandbox.pool import IsolatedPool, Limits\n"
        "pool = IsolatedPool(2, Limits())\nbegun = time.monotonic()\npool.start()\n"
        "print(time.monotonic() - begun)\npool.close()"
    )
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.5
    assert done.stderr == ""
    assert time.monotonic() - begun < 10
