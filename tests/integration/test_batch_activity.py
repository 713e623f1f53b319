"""The activity `process_batch` on a real Postgres.

Each document gets one result, from the attempt that holds its lease.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.batches import BatchActivities, BatchRequest, BatchResult
from perdure.documents.document import ProcessedDocument
from perdure.errors import DamagedDocument, DependencyUnavailable, ParserCrashed, PerdureError
from perdure.manifest import Lease
from perdure.sandbox.job import Outcome
from perdure.sandbox.parts import Send
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.manifest import PostgresManifestStore
from tests.integration.made_documents import discovered, processed

RUN = "run"
NAMES = ("a.txt", "b.txt", "c.txt", "d.txt")


class Scripted:
    """A scripted processor, which records the name and the earlier parts of each call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bytes]] = []
        self.faults: dict[str, PerdureError] = {}
        self.version = "v1"
        self.gates: list[asyncio.Event] = []
        """The events that the first calls wait for, in the order of the calls."""
        self.answer: Callable[[str], ProcessedDocument] = processed

    async def until_called(self, times: int) -> None:
        async with asyncio.timeout(30):
            while len(self.calls) < times:
                await asyncio.sleep(0.005)

    async def process(
        self, uri: str, name: str, source: str, *, earlier: bytes = b"", on_progress: Send | None = None
    ) -> Outcome[ProcessedDocument]:
        self.calls.append((name, earlier))
        if len(self.calls) <= len(self.gates):
            await self.gates[len(self.calls) - 1].wait()
        if name in self.faults:
            raise self.faults[name]
        return Outcome(self.answer(name), attempts=2, version=self.version)


class Bench:
    """One batch over every document of a run, and the activity that processes it."""

    def __init__(self, store: PostgresManifestStore, epoch: int) -> None:
        self.store = store
        self.epoch = epoch
        self.processor = Scripted()

    async def process(self, *, attempt: int = 1, first: int = 0, end: int = len(NAMES)) -> BatchResult:
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, attempt=attempt)
        request = BatchRequest(workflow_id=RUN, epoch=self.epoch, dispatch=1, first=first, end=end)
        return await environment.run(BatchActivities(self.store, self.processor).process_batch, request)


@pytest.fixture
async def bench(pool: PostgresPool) -> Bench:
    store = PostgresManifestStore(pool)
    epoch = await store.claim(RUN, "first", at_least=1)
    await store.record(RUN, epoch, [discovered(name) for name in NAMES])
    await store.enqueue_unfinished(RUN, epoch, quarantined=False)
    return Bench(store, epoch)


async def test_later_attempt_skips_what_an_earlier_one_committed_and_counts_it(bench: Bench) -> None:
    bench.processor.faults = {"b.txt": DamagedDocument("It is torn."), "d.txt": DependencyUnavailable("The disk", "no")}
    with pytest.raises(ApplicationError) as failed:
        await bench.process()
    assert (failed.value.type, failed.value.non_retryable) == ("DependencyUnavailable", False)
    assert [failure.uri for failure in await bench.store.failures(RUN)] == ["file:///papers/b.txt"]
    bench.processor.faults.clear()
    bench.processor.calls.clear()
    result = await bench.process(attempt=2)
    assert bench.processor.calls == [("d.txt", b"")]
    assert (result.processed, result.quarantined) == (3, 1)
    assert result.quality_sum == pytest.approx(3 * 0.9)


async def test_attempt_that_a_later_one_replaced_commits_nothing(bench: Bench) -> None:
    """The first attempt finishes its document while the second attempt processes it.

    The first attempt had lost its server.
    """
    bench.processor.gates = [asyncio.Event(), asyncio.Event()]
    zombie = asyncio.create_task(bench.process(end=1))
    await bench.processor.until_called(1)
    second = asyncio.create_task(bench.process(attempt=2, end=1))
    await bench.processor.until_called(2)
    bench.processor.gates[0].set()
    with pytest.raises(ApplicationError) as refused:
        await zombie
    assert (refused.value.type, refused.value.non_retryable) == ("StaleWriter", True)
    totals = await bench.store.totals(RUN)
    assert totals
    assert (totals.processed, totals.pending) == (0, 4)
    bench.processor.gates[1].set()
    assert (await second).processed == 1


async def test_document_whose_outputs_cannot_be_stored_is_quarantined(bench: Bench) -> None:
    """Such a document must stop neither the batch nor the run."""

    def answer(name: str) -> ProcessedDocument:
        document = processed(name)
        return replace(document, chunks=document.chunks * 2) if name == "a.txt" else document

    bench.processor.answer = answer
    result = await bench.process()
    assert (result.processed, result.quarantined) == (3, 1)
    (failure,) = await bench.store.failures(RUN)
    assert (failure.uri, failure.error_type) == ("file:///papers/a.txt", "UnstorableDocument")


async def test_quarantine_records_how_many_children_a_document_cost(bench: Bench) -> None:
    crash = ParserCrashed("The parser crashed.")
    crash.attempts = 3
    bench.processor.faults = {"a.txt": crash, "b.txt": DamagedDocument("It is torn.")}
    await bench.process()
    assert [failure.attempts for failure in await bench.store.failures(RUN)] == [3, 1]


async def test_document_changed_after_discovery_gets_a_warning(bench: Bench, pool: PostgresPool) -> None:
    bench.processor.version = "v2"
    await bench.process(end=1)
    bench.processor.version = "v1"
    await bench.process(first=1, end=2)
    async with pool.connection() as conn:
        rows = await conn.fetch("SELECT attempts, warnings FROM documents WHERE status = 'processed' ORDER BY position")
    assert [row["attempts"] for row in rows] == [2, 2]
    assert [row["warnings"] for row in rows] == [["The document was changed between discovery and processing."], []]


async def test_attempt_continues_after_the_parts_of_an_earlier_attempt(bench: Bench) -> None:
    lease = Lease(bench.epoch, 1, 1)
    await bench.store.lease_batch(RUN, lease, 0, len(NAMES))
    await bench.store.keep_parts(RUN, lease, 1, b"page 1")
    await bench.process(attempt=2)
    assert bench.processor.calls == [("a.txt", b""), ("b.txt", b"page 1"), ("c.txt", b""), ("d.txt", b"")]
