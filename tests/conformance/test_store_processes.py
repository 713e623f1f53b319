"""Stores used by several processes at once, and by processes that are killed."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from perdure.checkpoint import CheckpointStore, WorkflowCheckpoint
from tests.conformance.chains import assert_whole, following, new_workflow_id
from tests.conformance.conftest import OpenStore

APPENDER = Path(__file__).with_name("appender.py")


def start_appender(storage: tuple[str, str], workflow_id: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(APPENDER), *storage, workflow_id, str(count)], stdout=subprocess.PIPE, text=True
    )


def outcomes_of(appender: subprocess.Popen[str]) -> list[tuple[str, int]]:
    """Read the lines that the appender prints, and wait for its end.

    `communicate` would lose lines that an earlier `readline` has buffered.
    """
    assert appender.stdout
    with appender.stdout as output:
        lines = [line.split() for line in output]
    appender.wait()
    return [(outcome, int(sequence)) for outcome, sequence in lines]


async def test_two_processes_make_one_chain(storage: tuple[str, str], open_store: OpenStore) -> None:
    workflow_id = new_workflow_id()
    count = 60
    appenders = [start_appender(storage, workflow_id, count) for _ in range(2)]
    outcomes = [outcome for appender in appenders for outcome in outcomes_of(appender)]
    assert [appender.returncode for appender in appenders] == [0, 0]
    assert len(outcomes) == 2 * count
    # Two appenders that make the same checkpoint both print that it is stored.
    stored = {sequence for outcome, sequence in outcomes if outcome == "stored"}
    chain = list(await open_store().list(workflow_id))
    assert [checkpoint.sequence for checkpoint in chain] == sorted(stored) == list(range(1, len(chain) + 1))
    assert_whole(chain)


async def test_a_killed_process_loses_no_acknowledged_checkpoint(
    storage: tuple[str, str], open_store: OpenStore
) -> None:
    seed = int(os.environ.get("PERDURE_TEST_SEED") or random.randrange(2**32))
    sys.stdout.write(f"PERDURE_TEST_SEED={seed}\n")
    chance = random.Random(seed)
    workflow_id = new_workflow_id()
    kills = 6
    landed = 0
    for _ in range(kills):
        appender = start_appender(storage, workflow_id, 10_000)
        assert appender.stdout is not None
        begun = appender.stdout.readline().split()
        await asyncio.sleep(chance.uniform(0, 0.08))
        landed += appender.poll() is None
        os.kill(appender.pid, signal.SIGKILL)
        acknowledged = max(sequence for _, sequence in [("stored", int(begun[1])), *outcomes_of(appender)])
        store = open_store()
        chain = await settled(store, workflow_id)
        assert_whole(chain)
        assert chain[0].sequence == 1
        assert acknowledged <= len(chain) <= acknowledged + 1
        assert await store.append(following(chain[-1])) is True
    assert landed == kills


async def settled(store: CheckpointStore, workflow_id: str) -> list[WorkflowCheckpoint]:
    """Return all checkpoints when two reads agree.

    The server may still finish an append of the killed process.
    """
    before: list[WorkflowCheckpoint] = []
    while (chain := list(await store.list(workflow_id))) != before:
        before = chain
        await asyncio.sleep(0.05)
    return chain


async def test_readers_see_a_whole_chain_at_every_moment(storage: tuple[str, str], open_store: OpenStore) -> None:
    store = open_store()
    workflow_id = new_workflow_id()
    seen = 0
    appender = start_appender(storage, workflow_id, 10_000)
    try:
        lengths: set[int] = set()
        while len(lengths) < 20:
            assert appender.poll() is None
            chain = list(await store.list(workflow_id))
            assert_whole(chain[-3:])
            assert len(chain) >= seen
            latest = await store.latest(workflow_id)
            assert latest is None or latest.sequence >= len(chain)
            seen = len(chain)
            lengths.add(seen)
    finally:
        appender.kill()
        outcomes = outcomes_of(appender)
    assert len(await settled(store, workflow_id)) >= len(outcomes)


def test_the_raw_file_is_valid_json_at_every_moment(tmp_path: Path) -> None:
    storage = ("files", str(tmp_path))
    workflow_id = new_workflow_id()
    path = tmp_path / f"{workflow_id}_checkpoints.json"
    appender = start_appender(storage, workflow_id, 10_000)
    try:
        lengths: set[int] = set()
        while len(lengths) < 40:
            assert appender.poll() is None
            if path.exists():
                lengths.add(len(json.loads(path.read_bytes())))
    finally:
        appender.kill()
        outcomes_of(appender)


def test_a_slow_reader_reads_the_file_that_it_opened(tmp_path: Path) -> None:
    storage = ("files", str(tmp_path))
    workflow_id = new_workflow_id()
    path = tmp_path / f"{workflow_id}_checkpoints.json"
    outcomes_of(start_appender(storage, workflow_id, 50))
    with path.open("rb") as file:
        beginning = file.read(5_000)
        outcomes_of(start_appender(storage, workflow_id, 50))
        content = beginning + file.read()
    assert len(json.loads(content)) == 50
    assert len(json.loads(path.read_bytes())) == 100
