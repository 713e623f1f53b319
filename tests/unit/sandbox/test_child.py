"""A child reads many documents, and no document sees a trace of an earlier document."""

import asyncio
import resource
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import psutil
import pytest

from perdure.errors import ParserCrashed, ParserOutOfMemory
from perdure.sandbox import pool as pool_module
from perdure.sandbox.job import AnswerCodec, Job, Outcome, Parser
from perdure.sandbox.limits import ProcessLimits
from perdure.sandbox.pool import IsolatedPool
from tests.unit.sandbox.codecs import LargeCodec, OverflowingCodec, ProcessorLimitCodec
from tests.unit.sandbox.cpu_parsers import ALLOWED_SECONDS, measure_allowance
from tests.unit.sandbox.hostile_parsers import misbehave
from tests.unit.sandbox.jobs import LOAD_NOTHING, SKIP_CONFINEMENT, OpenedText, TextCodec, open_text

PARSER = partial(misbehave, 60.0)


@asynccontextmanager
async def open_pool(
    parser: Parser[str] = PARSER, codec: AnswerCodec[str] | None = None, workers: int = 1, attempts: int = 1
) -> AsyncIterator[IsolatedPool[str]]:
    """Give a pool; each of its documents has one attempt."""
    job = Job(parser, codec or TextCodec(), open_text, SKIP_CONFINEMENT)
    pool = IsolatedPool(workers, ProcessLimits(attempts=attempts), job)
    try:
        yield pool
    finally:
        await pool.aclose()


async def read(pool: IsolatedPool[str], name: str) -> str:
    return (await pool.process("file:///x", name, "file:///")).document


async def test_child_reads_more_documents_than_it_may_have_open() -> None:
    async with open_pool() as pool:
        assert len({await read(pool, "pid") for _ in range(150)}) == 1


async def test_child_is_replaced_after_its_last_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_MAX_SERVED", 3)
    async with open_pool() as pool:
        pids = [await read(pool, "pid") for _ in range(7)]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]


async def test_child_is_replaced_after_an_unexpected_exception() -> None:
    async with open_pool() as pool:
        before = await read(pool, "pid")
        with pytest.raises(ParserCrashed, match="KeyError"):
            await read(pool, "key-error")
        assert await read(pool, "pid") != before


async def test_words_of_an_earlier_document_explain_no_crash() -> None:
    async with open_pool() as pool:
        await read(pool, "complain")
        with pytest.raises(ParserCrashed, match="SIGSEGV"):
            await read(pool, "segfault")


async def test_pool_has_no_more_children_than_workers() -> None:
    async with open_pool(workers=2) as pool:
        assert len(set(await asyncio.gather(*(read(pool, "briefly") for _ in range(6))))) <= 2


async def test_zygote_keeps_no_descriptor_of_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_MAX_SERVED", 1)
    async with open_pool() as pool:
        await read(pool, "pid")
        assert pool._server
        zygote = psutil.Process(pool._server.pid)
        before = zygote.num_fds()
        assert len({await read(pool, "pid") for _ in range(5)}) == 5
        assert zygote.num_fds() <= before


async def test_allowed_cpu_time_counts_from_the_call() -> None:
    async with open_pool(measure_allowance) as pool:
        assert float(await read(pool, "any")) >= ALLOWED_SECONDS


async def test_encoding_of_an_answer_has_no_cpu_limit() -> None:
    async with open_pool(codec=ProcessorLimitCodec()) as pool:
        assert await read(pool, "pid") == str(resource.getrlimit(resource.RLIMIT_CPU)[0])


async def test_answer_too_large_to_encode_is_out_of_memory() -> None:
    async with open_pool(codec=OverflowingCodec()) as pool:
        with pytest.raises(ParserOutOfMemory):
            await read(pool, "pid")


async def test_large_answer_is_decoded_outside_of_the_event_loop() -> None:
    async with open_pool(codec=LargeCodec()) as pool:
        assert await read(pool, "pid") != str(threading.get_ident())


class Opened:
    """A document whose opening waits for the test."""

    descriptor = -1
    version = "1"

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.released = threading.Event()
        self.closed = threading.Event()

    def open(self, _uri: str, _source: str, _max_bytes: int) -> "Opened":
        self.begun.set()
        self.released.wait(60)
        return self

    def close(self) -> None:
        self.closed.set()


async def _wait_for(event: threading.Event) -> bool:
    return await asyncio.to_thread(event.wait, 20)


async def test_document_that_opens_after_its_cancellation_is_closed() -> None:
    document = Opened()
    pool = IsolatedPool(1, ProcessLimits(), Job(PARSER, TextCodec(), document.open, LOAD_NOTHING))
    reading = asyncio.create_task(pool.process("file:///x", "x", "file:///"))
    assert await _wait_for(document.begun)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    document.released.set()
    assert await _wait_for(document.closed)


class Counted:
    """A document that counts how often it is closed."""

    version = "1"

    def __init__(self, opened: OpenedText) -> None:
        self.descriptor = opened.descriptor
        self.closed = 0
        self._opened = opened

    def close(self) -> None:
        self.closed += 1
        self._opened.close()


@pytest.mark.parametrize("name", ["pid", "encrypted", "segfault"])
async def test_document_is_closed_however_it_ends(name: str) -> None:
    documents: list[Counted] = []

    def open_counted(uri: str, source: str, max_bytes: int) -> Counted:
        documents.append(Counted(open_text(uri, source, max_bytes)))
        return documents[-1]

    pool = IsolatedPool(1, ProcessLimits(attempts=1), Job(PARSER, TextCodec(), open_counted, SKIP_CONFINEMENT))
    try:
        (end,) = await asyncio.gather(pool.process("file:///x", name, "file:///"), return_exceptions=True)
        assert isinstance(end, Outcome) == (name == "pid")
        assert [document.closed for document in documents] == [1]
    finally:
        await pool.aclose()
