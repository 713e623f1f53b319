"""Finished parts of a document outlive their worker; the document's result deletes them."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from activities import parts as activity_parts
from activities.batches import BatchActivities, BatchRequest, BatchResult
from perdure.documents.discovery import discover
from perdure.documents.document import ProcessedDocument
from perdure.documents.limits import Limits
from perdure.documents.pool import document_job
from perdure.errors import AlreadyCommitted, DamagedDocument, StaleWriter
from perdure.manifest import Lease
from perdure.sandbox.job import Outcome
from perdure.sandbox.parts import Send
from perdure.sandbox.pool import IsolatedPool
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.manifest import PostgresManifestStore
from tests.integration.made_documents import discovered, processed
from tests.unit.documents.sliced import process_in_slices
from tests.unit.documents.test_parts import long_pdf

RUN = "run"


async def count(pool: PostgresPool) -> int:
    async with pool.connection() as conn:
        return int(await conn.fetchval("SELECT count(*) FROM document_parts"))


@pytest.mark.parametrize("bad", [False, True])
async def test_parts_are_kept_under_a_lease_until_the_result(pool: PostgresPool, *, bad: bool) -> None:
    store = PostgresManifestStore(pool)
    epoch = await store.claim(RUN, "first", at_least=1)
    await store.record(RUN, epoch, [discovered("a.pdf"), discovered("b.pdf")])
    await store.enqueue_unfinished(RUN, epoch, quarantined=False)
    old = Lease(epoch, 1, 1)
    new = Lease(epoch, 1, 2)
    assert not [entry for entry in await store.lease_batch(RUN, old, 0, 2) if entry.has_parts]
    await store.keep_parts(RUN, old, 0, b"one")
    await store.keep_parts(RUN, old, 0, b"two")
    assert [entry.has_parts for entry in await store.lease_batch(RUN, new, 0, 2)] == [True, False]
    with pytest.raises(StaleWriter):
        await store.keep_parts(RUN, old, 0, b"late")
    assert await store.parts(RUN, 0) == b"onetwo"
    with pytest.raises(StaleWriter):
        await store.commit(RUN, old, 0, processed(), attempts=1)
    assert await count(pool) == 2
    if bad:
        await store.quarantine(RUN, new, 0, DamagedDocument("It is torn."), attempts=1)
    else:
        await store.commit(RUN, new, 0, processed(), attempts=1)
    assert await count(pool) == 0
    with pytest.raises(AlreadyCommitted):
        await store.keep_parts(RUN, new, 0, b"late")


async def test_worker_continues_with_the_parts_of_a_lost_worker(
    pool: PostgresPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity_parts, "FIRST_WRITE_SECONDS", 0.01)
    monkeypatch.setattr(activity_parts, "WRITE_EVERY_SECONDS", 0.01)
    (tmp_path / "long.pdf").write_bytes(long_pdf(12, 4))
    store = PostgresManifestStore(pool)
    epoch = await store.claim(RUN, "first", at_least=1)
    await store.record(RUN, epoch, list(discover([str(tmp_path)])))
    await store.enqueue_unfinished(RUN, epoch, quarantined=False)
    request = BatchRequest(workflow_id=RUN, epoch=epoch, dispatch=1, first=0, end=1)
    lost = asyncio.create_task(run_attempt(store, request, 1, returns=False))
    while b"mentions" not in await store.parts(RUN, 0):
        await asyncio.sleep(0.01)
        assert not lost.done()
    lost.cancel()
    await asyncio.wait({lost})
    kept = await store.parts(RUN, 0)
    progress: list[str] = []
    result = await run_attempt(store, request, 2, progress)
    assert result.processed == 1
    assert progress[0] == f"earlier parts: {len(kept)} bytes"
    assert not [line for line in progress if line.startswith("page ")], f"pages were read twice: {progress}"
    assert await count(pool) == 0


class RecordingPool(IsolatedPool[ProcessedDocument]):
    """Records the parts that it is given, and the progress that its children report.

    Args:
        progress: gets the records.
        returns: whether `process` returns. Otherwise it waits until it is cancelled, with all parts of the document.
    """

    def __init__(self, progress: list[str], *, returns: bool) -> None:
        super().__init__(1, Limits(), document_job(Limits(), process_in_slices))
        self._progress = progress
        self._returns = returns

    async def process(
        self, uri: str, name: str, source: str, *, earlier: bytes = b"", on_progress: Send | None = None
    ) -> Outcome[ProcessedDocument]:
        def note(progress: str, parts: bytes) -> None:
            self._progress.append(progress)
            if on_progress:
                on_progress(progress, parts)

        self._progress.append(f"earlier parts: {len(earlier)} bytes")
        outcome = await super().process(uri, name, source, earlier=earlier, on_progress=note)
        if not self._returns:
            await asyncio.Event().wait()
        return outcome


async def run_attempt(
    store: PostgresManifestStore,
    request: BatchRequest,
    number: int,
    progress: list[str] | None = None,
    *,
    returns: bool = True,
) -> BatchResult:
    """Process the batch once, as attempt `number`, with a new pool."""
    children = RecordingPool([] if progress is None else progress, returns=returns)
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=number)
    children.start()
    try:
        return await environment.run(BatchActivities(store, children).process_batch, request)
    finally:
        await children.aclose()
