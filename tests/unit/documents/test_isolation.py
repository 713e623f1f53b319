"""Whatever a parser does to its process, its document gets a reason and every other document its result."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from perdure.errors import (
    DependencyUnavailable,
    EncryptedDocument,
    ParserCrashed,
    ParserFailure,
    ParserKilled,
    ParserOutOfMemory,
    ParserTimedOut,
)
from perdure.sandbox.fork_server import Child
from perdure.sandbox.pool import IsolatedPool, Limits, Outcome
from tests.unit.documents.hostile_parsers import misbehave
from tests.unit.documents.opening import open_nothing

pytestmark = pytest.mark.asyncio(loop_scope="module")
SOURCE = "file:///source"
# The wall limit is far away: on a loaded machine a second of processor time may take many seconds.
LIMITS = Limits(memory_bytes=512 * 1024 * 1024, extraction_cpu_seconds=1, wall_seconds=60)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[IsolatedPool]:
    pool = IsolatedPool(2, LIMITS, misbehave, opener=open_nothing, confined=False)
    pool.start()
    await _ask(pool, "warm")
    yield pool
    await pool.aclose()


async def _ask(pool: IsolatedPool, name: str, uri: str = "file:///source/x") -> Outcome:
    return await pool.process(uri, name, SOURCE)


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("segfault", ParserCrashed, "SIGSEGV"),
        ("spin", ParserTimedOut, "processor time"),
        ("close", ParserKilled, "SIGKILL"),
        ("bloat", ParserOutOfMemory, "512 MB"),
        ("native-bloat", ParserOutOfMemory, "512 MB"),
        ("corrupt", ParserCrashed, "SIGABRT"),
        ("exit", ParserCrashed, "exit code 7"),
        ("key-error", ParserCrashed, "KeyError"),
    ],
)
async def test_a_misbehaving_parser_costs_its_own_document_only(
    pool: IsolatedPool, name: str, error: type[ParserFailure], words: str
) -> None:
    sibling = asyncio.create_task(_ask(pool, "slowly"))
    with pytest.raises(error, match=words) as caught:
        await _ask(pool, name)
    assert type(caught.value) is error
    assert caught.value.attempts == (5 if error is ParserKilled else LIMITS.attempts)
    assert str(caught.value).endswith(".")
    assert "/tmp" not in str(caught.value)
    assert (await sibling).attempts == 1
    assert (await _ask(pool, "next")).attempts == 1


async def test_parser_that_sleeps_is_stopped_at_the_wall_limit() -> None:
    pool = IsolatedPool(1, Limits(wall_seconds=1), misbehave, opener=open_nothing, confined=False)
    try:
        with pytest.raises(ParserTimedOut, match="1 seconds") as caught:
            await _ask(pool, "sleep")
        assert caught.value.attempts == Limits().attempts
        assert str(caught.value).endswith(".")
    finally:
        await pool.aclose()


async def test_a_document_error_is_final_at_once_and_keeps_its_reason(pool: IsolatedPool) -> None:
    before = (await _ask(pool, "who")).document.text
    with pytest.raises(EncryptedDocument, match="password"):
        await _ask(pool, "encrypted")
    assert (await _ask(pool, "who")).document.text == before  # the child lives on


async def test_the_worlds_fault_comes_back_as_such(pool: IsolatedPool) -> None:
    with pytest.raises(DependencyUnavailable, match="input/output error") as caught:
        await _ask(pool, "disk")
    assert caught.value.dependency == "the source /data"


async def test_a_child_killed_from_outside_is_replaced_and_its_document_tried_again(
    pool: IsolatedPool, tmp_path: Path
) -> None:
    outcome = await _ask(pool, "first-time-only", f"file://{tmp_path}/mark")
    assert outcome.attempts == 2


async def test_an_idle_child_that_was_killed_costs_nobody_a_try(pool: IsolatedPool) -> None:
    outcomes = await asyncio.gather(_ask(pool, "slowly"), _ask(pool, "slowly"))
    for outcome in outcomes:
        os.kill(int(outcome.document.text), signal.SIGKILL)
        await _gone(int(outcome.document.text))
    assert [(await _ask(pool, "after")).attempts for _ in range(3)] == [1, 1, 1]


async def test_two_hundred_crashes_are_noticed_at_once(pool: IsolatedPool) -> None:
    async def crash() -> float:
        begun = time.monotonic()
        with pytest.raises(ParserCrashed):
            await _ask(pool, "segfault")
        return time.monotonic() - begun

    for _ in range(50):
        assert max(await asyncio.gather(crash(), crash())) < LIMITS.wall_seconds / 2


async def test_a_parser_that_only_sleeps_is_stopped_long_before_the_wall_limit() -> None:
    """And one that works, is stopped by somebody, or sleeps between two pieces of work is not."""
    pool = IsolatedPool(
        2,
        Limits(idle_seconds=1, extraction_cpu_seconds=20, attempts=1),
        misbehave,
        opener=open_nothing,
        confined=False,
    )
    try:
        assert (await _ask(pool, "warm")).attempts == 1
        with pytest.raises(ParserTimedOut, match="slept for 1 seconds, doing nothing"):
            await _ask(pool, "sleep")
        assert [one.attempts for one in await asyncio.gather(_ask(pool, "naps"), _ask(pool, "works"))] == [1, 1]
        slow = asyncio.create_task(_ask(pool, "naps"))
        child = await _busy_child(pool)
        os.kill(child.pid, signal.SIGSTOP)
        await asyncio.sleep(1.6)  # longer than a parser may be idle
        os.kill(child.pid, signal.SIGCONT)
        assert (await slow).attempts == 1
    finally:
        await pool.aclose()


async def test_cancelling_kills_the_child_that_works(pool: IsolatedPool, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    task = asyncio.create_task(_ask(pool, "note", f"file://{note}"))
    while not note.exists() or not note.read_text():
        await asyncio.sleep(0.01)
    pid = int(note.read_text())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _gone(pid)
    assert (await _ask(pool, "after")).attempts == 1


async def test_a_killed_fork_server_is_the_pools_failure_and_is_replaced(pool: IsolatedPool) -> None:
    assert pool._server
    sleeping = asyncio.create_task(_ask(pool, "sleep"))
    await _busy_child(pool)
    os.kill(pool._server.pid, signal.SIGKILL)
    with pytest.raises(DependencyUnavailable, match="parser pool"):
        await sleeping
    assert (await _ask(pool, "after")).attempts == 1


async def test_no_ended_child_stays_a_zombie(pool: IsolatedPool) -> None:
    with contextlib.suppress(ParserCrashed):
        await _ask(pool, "segfault")
    await _ask(pool, "after")
    assert pool._server
    children = psutil.Process(pool._server.pid).children()
    assert children
    assert [child for child in children if child.status() == psutil.STATUS_ZOMBIE] == []


async def test_children_share_the_models_memory(pool: IsolatedPool) -> None:
    pid = int((await _ask(pool, "who")).document.text)
    memory = psutil.Process(pid).memory_full_info()
    assert memory.uss < 60 * 1024 * 1024


async def test_a_closed_pool_ends_documents_in_hand_and_leaves_no_process() -> None:
    pool = IsolatedPool(1, LIMITS, misbehave, opener=open_nothing, confined=False)
    pool.start()
    await _ask(pool, "warm")
    assert pool._server
    server = psutil.Process(pool._server.pid)
    processes = [server, *server.children()]
    sleeping, waiting = asyncio.create_task(_ask(pool, "sleep")), asyncio.create_task(_ask(pool, "queued"))
    await _busy_child(pool)
    await pool.aclose()
    for task in (sleeping, waiting):
        with pytest.raises(DependencyUnavailable):
            await task
    assert not [process for process in processes if process.is_running()]
    with pytest.raises(DependencyUnavailable):
        await _ask(pool, "after")


async def test_a_pool_closed_while_it_loads_answers_who_waits() -> None:
    pool = IsolatedPool(1, LIMITS, misbehave, opener=open_nothing, confined=False)
    pool.start()
    waiting = asyncio.create_task(_ask(pool, "first"))
    await asyncio.sleep(0.1)
    await pool.aclose()
    with pytest.raises(DependencyUnavailable):
        await waiting


async def test_a_pool_that_cannot_start_is_the_worlds_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = IsolatedPool(1, LIMITS, misbehave, opener=open_nothing, confined=False)
    with monkeypatch.context() as broken:
        broken.setattr("sys.executable", "/nowhere/python")
        with pytest.raises(DependencyUnavailable, match="parser pool"):
            await _ask(pool, "first")
    assert (await _ask(pool, "second")).attempts == 1  # and it starts as soon as it can
    await pool.aclose()


async def _busy_child(pool: IsolatedPool) -> Child:
    """Wait until a child works on a document, and return the child."""
    async with asyncio.timeout(20):
        while not pool._busy:
            await asyncio.sleep(0.01)
    return next(iter(pool._busy))


async def _gone(pid: int) -> None:
    """Wait until the process has ended."""
    deadline = time.monotonic() + 20
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"process {pid} is still there"
        await asyncio.sleep(0.02)
