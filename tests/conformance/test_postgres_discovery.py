"""The queue and the counts after documents were discovered again, returned, or changed."""

import asyncpg
import pytest

from perdure.errors import DamagedDocument
from perdure.manifest import Lease
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.manifest import PostgresManifestStore
from tests.conformance.queued_run import RUN, queue
from tests.integration.made_documents import discovered, processed

SOURCE = "file:///papers"


@pytest.fixture
async def store(pool: PostgresPool) -> PostgresManifestStore:
    return PostgresManifestStore(pool)


async def finish(store: PostgresManifestStore, epoch: int, count: int, read_version: str | None = None) -> None:
    lease = Lease(epoch, 1, 1)
    for entry in await store.lease_batch(RUN, lease, 0, count):
        await store.commit(RUN, lease, entry.position, processed(), attempts=1, read_version=read_version)


async def assert_counts_agree(store: PostgresManifestStore, epoch: int) -> None:
    """Assert that the counts kept for the open run are those of the whole manifest."""
    added = await store.enqueue_added(RUN, epoch)
    totals = await store.totals(RUN)
    assert totals
    assert (added.total, added.queued, added.queued_bytes) == (totals.total, totals.queued, totals.queued_bytes)


async def test_removed_document_that_returns_to_an_open_run_is_counted(store: PostgresManifestStore) -> None:
    await finish(store, await queue(store, "a.txt", "b.txt"), 2)
    epoch = await store.claim(RUN, "second", at_least=1)
    await store.record(RUN, epoch, [discovered("b.txt")])
    assert await store.refresh(RUN, epoch, [SOURCE], 10) == 1
    await store.enqueue_unfinished(RUN, epoch, quarantined=False)
    await assert_counts_agree(store, epoch)
    await store.record(RUN, epoch, [discovered("a.txt"), discovered("c.txt")])
    await assert_counts_agree(store, epoch)
    assert await store.names(RUN, epoch, 0, 2) == ["a.txt", "c.txt"]


async def test_known_document_that_is_added_again_is_not_counted_again(store: PostgresManifestStore) -> None:
    epoch = await queue(store, "a.txt", "b.txt")
    await store.record(RUN, epoch, [discovered("a.txt"), discovered("b.txt", "v2")])
    await assert_counts_agree(store, epoch)


async def test_unchanged_document_is_compared_once(store: PostgresManifestStore) -> None:
    await finish(store, await queue(store, "a.txt", "b.txt", "c.txt"), 3)
    epoch = await store.claim(RUN, "second", at_least=1)
    await store.record(RUN, epoch, [discovered(name, "v2") for name in ("a.txt", "b.txt", "c.txt")])
    assert [position for position, _, _ in await store.changed_candidates(RUN, epoch, -1, 2)] == [0, 1]
    assert [position for position, _, _ in await store.changed_candidates(RUN, epoch, 1, 2)] == [2]
    for position in range(3):
        await store.settle_candidate(RUN, epoch, position, changed=position == 1)
    assert await store.changed_candidates(RUN, epoch, -1, 10) == []
    totals = await store.totals(RUN)
    assert totals
    assert (totals.processed, totals.pending) == (2, 1)


async def test_document_that_this_epoch_processed_is_no_candidate(store: PostgresManifestStore) -> None:
    epoch = await queue(store, "a.txt")
    await finish(store, epoch, 1)
    await store.record(RUN, epoch, [discovered("a.txt", "v2")])
    assert await store.changed_candidates(RUN, epoch, -1, 10) == []
    later = await store.claim(RUN, "second", at_least=1)
    assert len(await store.changed_candidates(RUN, later, -1, 10)) == 1


async def test_change_during_processing_is_seen_by_the_next_start(store: PostgresManifestStore) -> None:
    await finish(store, await queue(store, "a.txt"), 1, read_version="v2")
    epoch = await store.claim(RUN, "second", at_least=1)
    await store.record(RUN, epoch, [discovered("a.txt", "v3")])
    assert len(await store.changed_candidates(RUN, epoch, -1, 10)) == 1
    await store.record(RUN, epoch, [discovered("a.txt", "v2")])
    assert await store.changed_candidates(RUN, epoch, -1, 10) == []


@pytest.mark.parametrize(("is_discovered", "warnings"), [(True, 1), (False, 0)], ids=["discovered", "resumed"])
async def test_only_a_change_after_this_discovery_warns(
    store: PostgresManifestStore, superuser: asyncpg.Connection, *, is_discovered: bool, warnings: int
) -> None:
    """A resumed run lists no sources, so documents may have changed since the last discovery."""
    await queue(store, "a.txt")
    epoch = await store.claim(RUN, "second", at_least=1)
    if is_discovered:
        await store.record(RUN, epoch, [discovered("a.txt")])
    await store.enqueue_unfinished(RUN, epoch, quarantined=False)
    await finish(store, epoch, 1, read_version="v2")
    assert await superuser.fetchval("SELECT cardinality(warnings) FROM documents") == warnings


@pytest.mark.parametrize("added", [False, True], ids=["start", "open run"])
async def test_quarantined_document_returns_only_when_it_changed(store: PostgresManifestStore, *, added: bool) -> None:
    epoch = await queue(store, "a.txt", "b.txt")
    await store.lease_batch(RUN, Lease(epoch, 1, 1), 0, 2)
    for position in range(2):
        await store.quarantine(RUN, Lease(epoch, 1, 1), position, DamagedDocument("It is torn."), attempts=1)
    later = await store.claim(RUN, "second", at_least=1)
    await store.record(RUN, later, [discovered("a.txt"), discovered("b.txt", "v2")])
    if added:
        await store.enqueue_added(RUN, later)
    else:
        await store.enqueue_unfinished(RUN, later, quarantined=False)
    assert await store.names(RUN, later, 0, 1) == ["b.txt"]
    totals = await store.totals(RUN)
    assert totals
    assert (totals.quarantined, totals.pending, totals.queued) == (1, 1, 1)
    changes = await store.changes(RUN)
    assert changes
    assert (changes.retried, changes.unchanged) == (1, 1)


async def test_retry_alone_leaves_unfinished_documents(store: PostgresManifestStore) -> None:
    epoch = await queue(store, "a.txt", "b.txt")
    await store.lease_batch(RUN, Lease(epoch, 1, 1), 0, 1)
    await store.quarantine(RUN, Lease(epoch, 1, 1), 0, DamagedDocument("It is torn."), attempts=1)
    later = await store.claim(RUN, "second", at_least=1)
    totals = await store.enqueue_unfinished(RUN, later, quarantined=True, unfinished=False)
    assert totals.queued == 1
    assert await store.names(RUN, later, 0, 1) == ["a.txt"]


async def test_later_queue_continues_after_the_highest_ordinal(store: PostgresManifestStore) -> None:
    epoch = await queue(store, "a.txt", "b.txt")
    await finish(store, epoch, 2)
    await store.record(RUN, epoch, [discovered("c.txt"), discovered("d.txt")])
    assert (await store.enqueue_unfinished(RUN, epoch, quarantined=False)).queued == 4
    await store.record(RUN, epoch, [discovered("e.txt")])
    assert (await store.enqueue_added(RUN, epoch)).queued == 5
    assert await store.names(RUN, epoch, 0, 5) == ["a.txt", "b.txt", "c.txt", "d.txt", "e.txt"]
    assert await store.ordinals_of(RUN, epoch, [discovered(name).uri for name in ("c.txt", "e.txt")]) == (2, 5)
    assert await store.ordinals_of(RUN, epoch, [discovered("f.txt").uri]) == (0, 0)


async def test_outdated_results_of_an_unlisted_source_stay(
    store: PostgresManifestStore, superuser: asyncpg.Connection
) -> None:
    """The run is started again with one source; documents of the other source are not read."""
    await finish(store, await queue(store, "a.txt", "b.txt"), 2)
    await superuser.execute("UPDATE documents SET processed_by = 'earlier code', source = 'file:///' || name")
    epoch = await store.claim(RUN, "second", at_least=1)
    await store.record(RUN, epoch, [discovered("a.txt")])
    assert await store.refresh(RUN, epoch, ["file:///a.txt"], 10) == 1
    assert await store.refresh(RUN, epoch, ["file:///a.txt"], 10) == 0
    rows = await superuser.fetch("SELECT name, status FROM documents ORDER BY name")
    assert [tuple(row) for row in rows] == [("a.txt", "pending"), ("b.txt", "processed")]


async def test_refresh_changes_at_most_its_limit(store: PostgresManifestStore) -> None:
    await finish(store, await queue(store, "a.txt", "b.txt", "c.txt", "d.txt"), 4)
    epoch = await store.claim(RUN, "second", at_least=1)
    await store.record(RUN, epoch, [discovered("d.txt")])
    changed = [await store.refresh(RUN, epoch, [SOURCE], 2) for _ in range(3)]
    assert changed == [2, 1, 0]


async def test_removed_document_has_no_result_and_no_failure(
    store: PostgresManifestStore, superuser: asyncpg.Connection
) -> None:
    epoch = await queue(store, "a.txt", "b.txt", "c.txt")
    await store.lease_batch(RUN, Lease(epoch, 1, 1), 0, 3)
    await store.commit(RUN, Lease(epoch, 1, 1), 0, processed(), attempts=1)
    await store.quarantine(RUN, Lease(epoch, 1, 1), 1, DamagedDocument("It is torn."), attempts=1)
    later = await store.claim(RUN, "second", at_least=1)
    await store.record(RUN, later, [discovered("c.txt")])
    assert await store.refresh(RUN, later, [SOURCE], 10) == 2
    assert await store.failures(RUN) == []
    for table in ("document_texts", "chunks", "mentions"):
        assert await superuser.fetchval(f"SELECT count(*) FROM {table}") == 0
    await store.enqueue_unfinished(RUN, later, quarantined=True)
    assert await store.names(RUN, later, 0, 1) == ["c.txt"]
