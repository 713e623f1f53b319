"""The manifest on Postgres: each document is committed once, under the latest lease.

The file is longer than 300 lines because every test uses the same queue of five documents.
"""

import asyncio
import json
import random
from dataclasses import replace

import asyncpg
import pytest

from perdure.errors import AlreadyCommitted, DamagedDocument, StaleWriter, UnstorableDocument
from perdure.manifest import Lease
from perdure.stores.postgres import manifest as postgres_manifest
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.manifest import PostgresManifestStore
from perdure.stores.postgres.statements import load_statements
from tests.integration.made_documents import discovered, processed

RUN = "run"
NAMES = [f"{letter}.txt" for letter in "abcde"]


@pytest.fixture
async def store(pool: PostgresPool) -> PostgresManifestStore:
    return PostgresManifestStore(pool)


@pytest.fixture
async def epoch(store: PostgresManifestStore) -> int:
    """Return the epoch of a run whose five documents are queued."""
    return await begin(store, "first")


async def begin(store: PostgresManifestStore, run_id: str, *, quarantined: bool = False) -> int:
    epoch = await store.claim(RUN, run_id, at_least=1)
    await store.record(RUN, epoch, [discovered(name) for name in NAMES])
    await store.enqueue_unfinished(RUN, epoch, quarantined=quarantined)
    return epoch


async def finish(store: PostgresManifestStore, lease: Lease, ordinal: int, *, bad: bool = False) -> int:
    """Lease one ordinal, give its document a result, and return the document's position."""
    (entry,) = await store.lease_batch(RUN, lease, ordinal, ordinal + 1)
    if bad:
        await store.quarantine(RUN, lease, entry.position, DamagedDocument("It is torn."), attempts=2)
    else:
        await store.commit(RUN, lease, entry.position, processed(entry.name), attempts=1)
    return entry.position


async def count_outputs(pool: PostgresPool) -> dict[str, int]:
    tables = ("document_texts", "chunks", "mentions")
    async with pool.connection() as conn:
        return {table: await conn.fetchval(f"SELECT count(*) FROM {table}") for table in tables}


async def read_rows(pool: PostgresPool) -> list[tuple[object, ...]]:
    async with pool.connection() as conn:
        return [tuple(row) for row in await conn.fetch("SELECT * FROM documents ORDER BY position")]


async def test_document_is_committed_exactly_once(store: PostgresManifestStore, pool: PostgresPool, epoch: int) -> None:
    lease = Lease(epoch, 1, 1)
    (entry,) = await store.lease_batch(RUN, lease, 0, 1)
    commits = [store.commit(RUN, lease, entry.position, processed(), attempts=1) for _ in range(4)]
    results = await asyncio.gather(*commits, return_exceptions=True)
    assert results.count(None) == 1
    assert [type(result) for result in results if result is not None] == [AlreadyCommitted] * 3
    assert await count_outputs(pool) == {"document_texts": 1, "chunks": 1, "mentions": 1}


@pytest.mark.parametrize("bad", [False, True])
async def test_finished_document_takes_no_second_result(
    store: PostgresManifestStore, pool: PostgresPool, epoch: int, bad: bool
) -> None:
    lease = Lease(epoch, 1, 1)
    position = await finish(store, lease, 0, bad=bad)
    before = await read_rows(pool)
    with pytest.raises(AlreadyCommitted):
        await store.commit(RUN, lease, position, processed("other"), attempts=1)
    with pytest.raises(AlreadyCommitted):
        await store.quarantine(RUN, lease, position, DamagedDocument("Late."), attempts=1)
    assert await read_rows(pool) == before


@pytest.mark.parametrize("newer", [(1, 2), (2, 1)], ids=["attempt", "dispatch"])
async def test_replaced_lease_can_neither_commit_nor_lease(
    store: PostgresManifestStore, pool: PostgresPool, epoch: int, newer: tuple[int, int]
) -> None:
    old = Lease(epoch, 1, 1)
    new = Lease(epoch, *newer)
    (entry,) = await store.lease_batch(RUN, old, 0, 1)
    await store.lease_batch(RUN, new, 0, 1)
    with pytest.raises(StaleWriter):
        await store.commit(RUN, old, entry.position, processed(), attempts=1)
    with pytest.raises(StaleWriter):
        await store.quarantine(RUN, old, entry.position, DamagedDocument("Late."), attempts=1)
    with pytest.raises(StaleWriter):
        await store.lease_batch(RUN, old, 0, 1)
    assert await count_outputs(pool) == {"document_texts": 0, "chunks": 0, "mentions": 0}
    await store.commit(RUN, new, entry.position, processed(), attempts=1)


async def test_later_epoch_refuses_every_writer_of_an_earlier_one(
    store: PostgresManifestStore, pool: PostgresPool, epoch: int
) -> None:
    old = Lease(epoch, 7, 7)
    (entry,) = await store.lease_batch(RUN, old, 0, 1)
    later = await begin(store, "second")
    before = await read_rows(pool)
    for refused in (
        store.commit(RUN, old, entry.position, processed(), attempts=1),
        store.quarantine(RUN, old, entry.position, DamagedDocument("Late."), attempts=1),
        store.lease_batch(RUN, old, 0, 1),
        store.record(RUN, epoch, [discovered("new.txt")]),
        store.enqueue_unfinished(RUN, epoch, quarantined=True),
        store.changed_candidates(RUN, epoch, -1, 10),
        store.settle_candidate(RUN, epoch, 0, changed=True),
        store.names(RUN, epoch, 0, 1),
        store.close_run(RUN, epoch, "cancelled"),
    ):
        with pytest.raises(StaleWriter):
            await refused
    assert await read_rows(pool) == before
    assert later == epoch + 1


async def test_second_claim_returns_the_same_epoch(store: PostgresManifestStore) -> None:
    first = await store.claim(RUN, "first", at_least=1)
    assert await store.claim(RUN, "first", at_least=1) == first == 1
    second = await store.claim(RUN, "second", at_least=1)
    assert second == 2
    assert await store.claim(RUN, "first", at_least=1) == first
    assert await store.claim(RUN, "second", at_least=9) == second


async def test_concurrent_claims_get_different_epochs(store: PostgresManifestStore) -> None:
    claims = [store.claim(RUN, f"run-{number}", at_least=1) for number in range(8)]
    assert sorted(await asyncio.gather(*claims)) == list(range(1, 9))


async def test_emptied_store_never_gives_out_an_old_epoch(store: PostgresManifestStore) -> None:
    """The checkpoint files still hold epoch 4, so the next epoch is 5."""
    assert await store.claim(RUN, "after the loss", at_least=5) == 5
    assert await store.claim(RUN, "after that", at_least=1) == 6


async def test_second_discovery_leaves_the_manifest_unchanged(
    store: PostgresManifestStore, pool: PostgresPool, epoch: int
) -> None:
    before = await read_rows(pool)
    totals = await store.totals(RUN)
    assert await begin(store, "first") == epoch
    assert await read_rows(pool) == before
    assert await store.totals(RUN) == totals
    assert await store.names(RUN, epoch, 0, 5) == NAMES


async def test_document_named_twice_in_a_page_is_recorded_once(store: PostgresManifestStore) -> None:
    epoch = await store.claim(RUN, "first", at_least=1)
    await store.record(RUN, epoch, [discovered("a.txt"), discovered("a.txt")])
    assert (await store.enqueue_unfinished(RUN, epoch, quarantined=False)).queued == 1


async def test_resume_queues_only_unfinished_documents(store: PostgresManifestStore, epoch: int) -> None:
    await finish(store, Lease(epoch, 1, 1), 1)
    await finish(store, Lease(epoch, 2, 1), 3, bad=True)
    later = await begin(store, "second")
    totals = await store.totals(RUN)
    assert totals
    assert (totals.queued, totals.processed, totals.quarantined, totals.pending) == (3, 1, 1, 3)
    assert await store.names(RUN, later, 0, 3) == ["a.txt", "c.txt", "e.txt"]


async def test_retry_queues_quarantined_documents_too(store: PostgresManifestStore, epoch: int) -> None:
    for ordinal in range(5):
        await finish(store, Lease(epoch, ordinal + 1, 1), ordinal, bad=ordinal in (1, 4))
    later = await begin(store, "second", quarantined=True)
    totals = await store.totals(RUN)
    assert totals
    assert (totals.queued, totals.processed, totals.quarantined) == (2, 3, 0)
    assert await store.names(RUN, later, 0, 2) == ["b.txt", "e.txt"]
    assert await store.failures(RUN) == []


async def test_commit_that_is_rolled_back_leaves_nothing(
    store: PostgresManifestStore, pool: PostgresPool, epoch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = Lease(epoch, 1, 1)
    (entry,) = await store.lease_batch(RUN, lease, 0, 1)
    before = await read_rows(pool)
    twice = replace(processed(), chunks=processed().chunks * 2)  # one vector for two chunks
    with pytest.raises(UnstorableDocument, match="at least 1 dimension"):
        await store.commit(RUN, lease, entry.position, twice, attempts=1)
    assert await read_rows(pool) == before
    assert await count_outputs(pool) == {"document_texts": 0, "chunks": 0, "mentions": 0}

    async def write_and_fail(*args: object) -> None:
        await write_outputs(*args)  # type: ignore[arg-type]  # the arguments of the original call
        raise asyncpg.AdminShutdownError("terminating connection")

    write_outputs = postgres_manifest.write_outputs  # type: ignore[attr-defined]  # an imported name
    monkeypatch.setattr(postgres_manifest, "write_outputs", write_and_fail)
    with pytest.raises(Exception, match="Postgres is unavailable"):
        await store.commit(RUN, lease, entry.position, processed(), attempts=1)
    assert await read_rows(pool) == before
    assert await count_outputs(pool) == {"document_texts": 0, "chunks": 0, "mentions": 0}


async def test_closing_a_cancelled_run_leaves_no_pending_documents(store: PostgresManifestStore, epoch: int) -> None:
    await finish(store, Lease(epoch, 1, 1), 0)
    await finish(store, Lease(epoch, 2, 1), 1, bad=True)
    totals = await store.close_run(RUN, epoch, "cancelled")
    assert (totals.processed, totals.quarantined, totals.cancelled, totals.pending) == (1, 1, 3, 0)
    assert await store.close_run(RUN, epoch, "cancelled") == totals
    resumed = await begin(store, "second")
    totals_after_resume = await store.totals(RUN)
    assert totals_after_resume
    assert (totals_after_resume.cancelled, totals_after_resume.pending, totals_after_resume.queued) == (0, 3, 3)
    assert await store.names(RUN, resumed, 0, 3) == ["c.txt", "d.txt", "e.txt"]


async def test_closing_a_failed_run_keeps_its_documents_pending(store: PostgresManifestStore, epoch: int) -> None:
    totals = await store.close_run(RUN, epoch, "failed")
    assert (totals.cancelled, totals.pending) == (0, 5)


async def test_quarantined_document_has_its_reason(store: PostgresManifestStore, epoch: int) -> None:
    await finish(store, Lease(epoch, 1, 1), 2, bad=True)
    (failure,) = await store.failures(RUN)
    assert (failure.position, failure.uri, failure.reason) == (2, discovered("c.txt").uri, "It is torn.")
    assert (failure.error_type, failure.attempts) == ("DamagedDocument", 2)


async def test_unknown_run_has_no_totals_failures_or_sources(store: PostgresManifestStore) -> None:
    assert await store.totals("unknown") is None
    assert await store.failures("unknown") == []
    assert await store.sources("unknown") == []


async def test_change_between_discovery_and_processing_warns(store: PostgresManifestStore, pool: PostgresPool) -> None:
    epoch = await store.claim(RUN, "first", at_least=1)
    await store.record(RUN, epoch, [discovered("same"), discovered("other")])
    await store.enqueue_unfinished(RUN, epoch, quarantined=False)
    lease = Lease(epoch, 1, 1)
    same, other = await store.lease_batch(RUN, lease, 0, 2)
    versions = {same.position: discovered("same").version, other.position: "later"}
    for position, version in versions.items():
        await store.commit(RUN, lease, position, processed(), attempts=1, read_version=version)
    async with pool.connection() as conn:
        rows = await conn.fetch(
            "SELECT position, read_version, warnings FROM documents WHERE workflow_id = $1 ORDER BY position", RUN
        )
    assert {row["position"]: row["read_version"] for row in rows} == versions
    assert [row["warnings"] for row in rows] == [[], ["The document was changed between discovery and processing."]]


@pytest.mark.parametrize(("read", "warned"), [("5-10-99", False), ("5-11-20", True), ("6-10-20", True)])
async def test_change_of_permissions_is_no_change_of_content(
    store: PostgresManifestStore, pool: PostgresPool, read: str, *, warned: bool
) -> None:
    epoch = await store.claim(RUN, "first", at_least=1)
    await store.record(RUN, epoch, [replace(discovered("a"), version="5-10-20")])
    await store.enqueue_unfinished(RUN, epoch, quarantined=False)
    await store.lease_batch(RUN, Lease(epoch, 1, 1), 0, 1)
    await store.commit(RUN, Lease(epoch, 1, 1), 0, processed(), attempts=1, read_version=read)
    async with pool.connection() as conn:
        assert bool(await conn.fetchval("SELECT warnings <> '{}' FROM documents WHERE workflow_id = $1", RUN)) == warned


async def test_very_long_uris_are_recorded_once(store: PostgresManifestStore) -> None:
    epoch = await store.claim(RUN, "first", at_least=1)
    generator = random.Random(4)
    long = [f"file:///{generator.randbytes(6000).hex()}" for _ in range(3)]
    page = [replace(discovered("x"), uri=uri) for uri in long]
    await store.record(RUN, epoch, page)
    await store.record(RUN, epoch, page)
    assert (await store.enqueue_unfinished(RUN, epoch, quarantined=False)).queued == 3
    assert await store.ordinals_of(RUN, epoch, long[1:]) == (1, 3)


async def test_added_documents_are_counted_like_the_whole_manifest(store: PostgresManifestStore) -> None:
    epoch = await store.claim(RUN, "first", at_least=1)
    await store.enqueue_unfinished(RUN, epoch, quarantined=False)
    for names in (["a"], ["a", "b"], ["b"], ["c", "d"]):
        await store.record(RUN, epoch, [discovered(name) for name in names])
        added = await store.enqueue_added(RUN, epoch)
        assert added == await store.enqueue_added(RUN, epoch)
        totals = await store.totals(RUN)
        assert totals
        assert (added.total, added.queued, added.queued_bytes) == (totals.total, totals.queued, totals.queued_bytes)
    assert await store.names(RUN, epoch, 0, 4) == ["a", "b", "c", "d"]


async def test_adding_to_a_long_manifest_reads_few_blocks(store: PostgresManifestStore, pool: PostgresPool) -> None:
    epoch = await store.claim(RUN, "first", at_least=1)
    async with pool.connection() as conn:
        await conn.execute(
            """INSERT INTO documents (workflow_id, position, uri, name, source, size_bytes, version, epoch, ordinal)
               SELECT $1, n, 'file:///' || n, n::text, 's', 1, '1', 1, n FROM generate_series(0, 29999) AS n""",
            RUN,
        )
    await store.enqueue_unfinished(RUN, epoch, quarantined=False)
    await store.record(RUN, epoch, [discovered("new")])
    async with pool.connection() as conn:
        await conn.execute("ANALYZE documents")
        statement, *arguments = load_statements("queue.sql")["enqueue_added"].bind(workflow_id=RUN, epoch=epoch)
        plan = json.loads(await conn.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *arguments))
    assert plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"] < 200
    assert (await store.enqueue_added(RUN, epoch)).queued == 30001
