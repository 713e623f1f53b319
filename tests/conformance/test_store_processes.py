"""Stores used by several processes at once, and by processes that are killed."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from perdure.checkpoint import CheckpointStore, WorkflowCheckpoint
from perdure.errors import CheckpointConflict, CheckpointGap
from tests.conformance.chains import assert_whole, following, new_workflow_id
from tests.conformance.conftest import OpenStore

APPENDER = Path(__file__).with_name("appender.py")
WITHOUT_END = 10**9
"""How often an appender appends that must still be at work whenever the test looks."""


class Appender:
    """A process of `appender.py`. It prints to a file, because a full pipe would stop it."""

    def __init__(self, storage: tuple[str, str], workflow_id: str, count: int, folder: Path) -> None:
        self._output = folder / f"appender-{len(list(folder.iterdir()))}"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(APPENDER), *storage, workflow_id, str(count)], stdout=output
            )

    def wait_for_first(self) -> None:
        """Wait until the process has printed its first line."""
        while b"\n" not in self._output.read_bytes():
            assert self.process.poll() is None
            time.sleep(0.01)

    def kill(self) -> None:
        """Kill the process, which must be at work."""
        assert self.process.poll() is None
        os.kill(self.process.pid, signal.SIGKILL)
        assert self.process.wait() == -signal.SIGKILL

    def outcomes(self) -> list[tuple[str, int]]:
        """Wait for the end of the process, and return what it printed."""
        self.process.wait()
        lines = [line.split() for line in self._output.read_text().splitlines()]
        return [(outcome, int(sequence)) for outcome, sequence in lines]


@contextmanager
def appending(storage: tuple[str, str], workflow_id: str, folder: Path) -> Iterator[Appender]:
    """Run an appender during the block, and kill it at the end."""
    appender = Appender(storage, workflow_id, WITHOUT_END, folder)
    try:
        yield appender
    finally:
        appender.kill()


@pytest.fixture
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder for the output of appenders, apart from the storage."""
    return tmp_path_factory.mktemp("appenders")


async def test_two_processes_make_one_chain(storage: tuple[str, str], open_store: OpenStore, outputs: Path) -> None:
    workflow_id = new_workflow_id()
    count = 60
    appenders = [Appender(storage, workflow_id, count, outputs) for _ in range(2)]
    outcomes = [outcome for appender in appenders for outcome in appender.outcomes()]
    assert [appender.process.returncode for appender in appenders] == [0, 0]
    assert len(outcomes) == 2 * count
    # Two appenders that make the same checkpoint both print that it is stored.
    stored = {sequence for outcome, sequence in outcomes if outcome == "stored"}
    chain = list(await open_store().list(workflow_id))
    assert [checkpoint.sequence for checkpoint in chain] == sorted(stored) == list(range(1, len(chain) + 1))
    assert_whole(chain)


async def test_a_killed_process_loses_no_acknowledged_checkpoint(
    storage: tuple[str, str], open_store: OpenStore, outputs: Path
) -> None:
    seed = int(os.environ.get("PERDURE_TEST_SEED") or random.randrange(2**32))
    sys.stdout.write(f"PERDURE_TEST_SEED={seed}\n")
    chance = random.Random(seed)
    workflow_id = new_workflow_id()
    for _ in range(6):
        appender = Appender(storage, workflow_id, WITHOUT_END, outputs)
        appender.wait_for_first()
        await asyncio.sleep(chance.uniform(0, 0.08))  # the kill strikes at a random moment
        appender.kill()
        acknowledged = max(sequence for _, sequence in appender.outcomes())
        store = open_store()
        own = await append_next(store, workflow_id)
        chain = list(await store.list(workflow_id))
        assert_whole(chain)
        assert chain[0].sequence == 1
        assert chain[-1] == own
        assert acknowledged <= own.sequence - 1 <= acknowledged + 1


async def append_next(store: CheckpointStore, workflow_id: str) -> WorkflowCheckpoint:
    """Append the next checkpoint and return it.

    Until then a server may still finish an append of the killed process; afterwards the server refuses that append.
    """
    while True:
        latest = await store.latest(workflow_id)
        assert latest
        after = following(latest, padding="of the test")
        try:
            assert await store.append(after) is True
        except (CheckpointConflict, CheckpointGap):
            continue
        return after


async def test_readers_see_a_whole_chain_at_every_moment(
    storage: tuple[str, str], open_store: OpenStore, outputs: Path
) -> None:
    store = open_store()
    workflow_id = new_workflow_id()
    seen = 0
    with appending(storage, workflow_id, outputs) as appender:
        lengths: set[int] = set()
        while len(lengths) < 20:
            assert appender.process.poll() is None
            chain = list(await store.list(workflow_id))
            assert_whole(chain[-3:])
            assert len(chain) >= seen
            latest = await store.latest(workflow_id)
            assert latest is None or latest.sequence >= len(chain)
            seen = len(chain)
            lengths.add(seen)
    assert len(list(await store.list(workflow_id))) >= len(appender.outcomes())


def test_the_raw_file_is_valid_json_at_every_moment(tmp_path: Path, outputs: Path) -> None:
    storage = ("files", str(tmp_path))
    workflow_id = new_workflow_id()
    path = tmp_path / f"{workflow_id}_checkpoints.json"
    with appending(storage, workflow_id, outputs) as appender:
        lengths: set[int] = set()
        while len(lengths) < 40:
            assert appender.process.poll() is None
            if path.exists():
                lengths.add(len(json.loads(path.read_bytes())))


def test_a_slow_reader_reads_the_file_that_it_opened(tmp_path: Path, outputs: Path) -> None:
    storage = ("files", str(tmp_path))
    workflow_id = new_workflow_id()
    path = tmp_path / f"{workflow_id}_checkpoints.json"
    Appender(storage, workflow_id, 50, outputs).outcomes()
    with path.open("rb") as file:
        beginning = file.read(5_000)
        Appender(storage, workflow_id, 50, outputs).outcomes()
        content = beginning + file.read()
    assert len(json.loads(content)) == 50
    assert len(json.loads(path.read_bytes())) == 100
