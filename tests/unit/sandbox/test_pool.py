"""The document of a harmful parser gets a reason, and every other document gets its result."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from functools import partial
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
from perdure.sandbox.forked_child import Child
from perdure.sandbox.job import Outcome
from perdure.sandbox.limits import ProcessLimits
from perdure.sandbox.pool import IsolatedPool
from tests.unit.sandbox.hostile_parsers import misbehave
from tests.unit.sandbox.jobs import LOAD_SLOWLY, SKIP_CONFINEMENT, text_job

pytestmark = pytest.mark.asyncio(loop_scope="module")
SOURCE = "file:///source"
# The wall limit is far away: on a loaded machine, a second of processor time may take many seconds.
LIMITS = ProcessLimits(memory_bytes=512 * 1024 * 1024, wall_seconds=280)
JOB = text_job(partial(misbehave, 30.0), SKIP_CONFINEMENT)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[IsolatedPool[str]]:
    pool = IsolatedPool(2, LIMITS, JOB)
    pool.start()
    await _read(pool, "warm")
    yield pool
    await pool.aclose()


async def _read(pool: IsolatedPool[str], name: str, uri: str = "file:///source/x") -> Outcome[str]:
    return await pool.process(uri, name, SOURCE)


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("segfault", ParserCrashed, "SIGSEGV"),
        ("close", ParserKilled, "SIGKILL"),
        ("bloat", ParserOutOfMemory, "512 MB"),
        ("native-bloat", ParserOutOfMemory, "512 MB"),
        ("corrupt", ParserCrashed, "SIGABRT"),
        ("exit", ParserCrashed, "exit code 7"),
        ("key-error", ParserCrashed, "KeyError"),
    ],
)
async def test_misbehaving_parser_fails_only_its_own_document(
    pool: IsolatedPool[str], name: str, error: type[ParserFailure], words: str
) -> None:
    sibling = asyncio.create_task(_read(pool, "slowly"))
    with pytest.raises(error, match=words) as caught:
        await _read(pool, name)
    assert type(caught.value) is error
    assert caught.value.attempts == (5 if error is ParserKilled else LIMITS.attempts)
    assert str(caught.value).endswith(".")
    assert "/tmp" not in str(caught.value)
    assert (await sibling).attempts == 1
    assert (await _read(pool, "next")).attempts == 1


async def test_parser_that_computes_without_end_is_stopped_at_its_cpu_limit() -> None:
    pool = IsolatedPool(1, LIMITS, text_job(partial(misbehave, 0.1), SKIP_CONFINEMENT))
    try:
        with pytest.raises(ParserTimedOut, match="processor time") as caught:
            await _read(pool, "spin")
        assert caught.value.attempts == LIMITS.attempts
        assert str(caught.value).endswith(".")
    finally:
        await pool.aclose()


async def test_parser_that_sleeps_is_stopped_at_the_wall_limit() -> None:
    pool = IsolatedPool(1, ProcessLimits(wall_seconds=0.3, idle_seconds=10, attempts=1), JOB)
    try:
        with pytest.raises(ParserTimedOut, match=r"stopped after 0\.3 seconds") as caught:
            await _read(pool, "sleep")
        assert str(caught.value).endswith(".")
    finally:
        await pool.aclose()


async def test_document_error_is_final_and_its_child_lives_on(pool: IsolatedPool[str]) -> None:
    before = (await _read(pool, "pid")).document
    with pytest.raises(EncryptedDocument, match="password"):
        await _read(pool, "encrypted")
    assert (await _read(pool, "pid")).document == before


async def test_unavailable_dependency_is_reported_as_such(pool: IsolatedPool[str]) -> None:
    with pytest.raises(DependencyUnavailable, match="input/output error") as caught:
        await _read(pool, "disk")
    assert caught.value.dependency == "the source /data"


async def test_outcome_holds_the_version_that_the_opener_gave(pool: IsolatedPool[str]) -> None:
    assert (await _read(pool, "pid")).version == "1"


async def test_killed_child_is_replaced_and_its_document_retried(pool: IsolatedPool[str], tmp_path: Path) -> None:
    outcome = await _read(pool, "killed-once", f"file://{tmp_path}/mark")
    assert outcome.attempts == 2


async def test_killed_idle_child_costs_no_document_an_attempt(pool: IsolatedPool[str]) -> None:
    outcomes = await asyncio.gather(_read(pool, "slowly"), _read(pool, "slowly"))
    for outcome in outcomes:
        os.kill(int(outcome.document), signal.SIGKILL)
        await _wait_until_gone(int(outcome.document))
    assert [(await _read(pool, "after")).attempts for _ in range(3)] == [1, 1, 1]


async def test_crashes_are_noticed_at_once(pool: IsolatedPool[str]) -> None:
    async def crash() -> float:
        begun = time.monotonic()
        with pytest.raises(ParserCrashed):
            await _read(pool, "segfault")
        return time.monotonic() - begun

    for _ in range(10):
        assert max(await asyncio.gather(crash(), crash())) < LIMITS.idle_seconds


async def test_idle_parser_is_stopped_long_before_the_wall_limit() -> None:
    pool = IsolatedPool(1, ProcessLimits(idle_seconds=0.4, attempts=1), JOB)
    try:
        with pytest.raises(ParserTimedOut, match=r"slept for 0\.4 seconds, doing nothing"):
            await _read(pool, "sleep")
    finally:
        await pool.aclose()


async def test_cancelling_kills_the_child_that_reads(pool: IsolatedPool[str], tmp_path: Path) -> None:
    note = tmp_path / "pid"
    task = asyncio.create_task(_read(pool, "note", f"file://{note}"))
    while not note.exists() or not note.read_text():
        await asyncio.sleep(0.01)
    pid = int(note.read_text())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _wait_until_gone(pid)
    assert (await _read(pool, "after")).attempts == 1


async def test_killed_zygote_fails_the_pool_and_is_replaced(pool: IsolatedPool[str]) -> None:
    assert pool._server
    sleeping = asyncio.create_task(_read(pool, "sleep"))
    await _wait_for_busy_child(pool)
    os.kill(pool._server.pid, signal.SIGKILL)
    with pytest.raises(DependencyUnavailable, match="parser pool"):
        await sleeping
    assert (await _read(pool, "after")).attempts == 1


async def test_ended_child_does_not_stay_a_zombie(pool: IsolatedPool[str]) -> None:
    with contextlib.suppress(ParserCrashed):
        await _read(pool, "segfault")
    await _read(pool, "after")
    assert pool._server
    children = psutil.Process(pool._server.pid).children()
    assert children
    assert [child for child in children if child.status() == psutil.STATUS_ZOMBIE] == []


async def test_closed_pool_ends_its_documents_and_its_processes() -> None:
    pool = IsolatedPool(1, LIMITS, JOB)
    pool.start()
    await _read(pool, "warm")
    assert pool._server
    zygote = psutil.Process(pool._server.pid)
    processes = [zygote, *zygote.children()]
    sleeping = asyncio.create_task(_read(pool, "sleep"))
    waiting = asyncio.create_task(_read(pool, "queued"))
    await _wait_for_busy_child(pool)
    await pool.aclose()
    for task in (sleeping, waiting):
        with pytest.raises(DependencyUnavailable):
            await task
    assert not [process for process in processes if process.is_running()]
    with pytest.raises(DependencyUnavailable):
        await _read(pool, "after")


async def test_pool_closed_during_warm_up_ends_waiting_documents() -> None:
    pool = IsolatedPool(1, LIMITS, text_job(partial(misbehave, 1.0), LOAD_SLOWLY))
    pool.start()
    waiting = asyncio.create_task(_read(pool, "first"))
    await asyncio.sleep(0.1)
    await pool.aclose()
    with pytest.raises(DependencyUnavailable):
        await waiting


async def test_pool_that_cannot_start_raises_and_starts_later(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = IsolatedPool(1, LIMITS, JOB)
    with monkeypatch.context() as broken:
        broken.setattr("sys.executable", "/nowhere/python")
        with pytest.raises(DependencyUnavailable, match="parser pool"):
            await _read(pool, "first")
    assert (await _read(pool, "second")).attempts == 1
    await pool.aclose()


async def _wait_for_busy_child(pool: IsolatedPool[str]) -> Child:
    """Wait until a child reads a document, and return the child."""
    async with asyncio.timeout(90):
        while not pool._busy:
            await asyncio.sleep(0.01)
    return next(iter(pool._busy))


async def _wait_until_gone(pid: int) -> None:
    """Wait until the process has ended."""
    deadline = time.monotonic() + 90
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"process {pid} still runs"
        await asyncio.sleep(0.02)
