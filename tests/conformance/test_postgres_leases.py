"""The lease of a document decides which writer may give the document a result."""

import asyncio
from collections.abc import Callable, Coroutine

import asyncpg
import pytest

from perdure.errors import AlreadyCommitted, DamagedDocument, StaleWriter
from perdure.manifest import Lease
from perdure.stores.postgres.commits import list_commits
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.manifest import PostgresManifestStore
from tests.conformance.held_pool import HeldPool, is_blocked
from tests.conformance.queued_run import RUN, queue, read_table
from tests.integration.made_documents import processed

Write = Callable[[PostgresManifestStore, Lease], Coroutine[None, None, None]]
RESULTS: dict[str, Write] = {
    "commit": lambda store, lease: store.commit(RUN, lease, 0, processed(), attempts=1),
    "quarantine": lambda store, lease: store.quarantine(RUN, lease, 0, DamagedDocument("It is torn."), attempts=1),
}
WRITES: dict[str, Write] = {**RESULTS, "parts": lambda store, lease: store.keep_parts(RUN, lease, 0, b"part")}


@pytest.fixture
async def store(pool: PostgresPool) -> PostgresManifestStore:
    return PostgresManifestStore(pool)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("later", [(1, 1), (1, 2), (2, 1)], ids=["epoch", "attempt", "dispatch"])
async def test_replaced_lease_writes_nothing(
    store: PostgresManifestStore, superuser: asyncpg.Connection, write: Write, later: tuple[int, int]
) -> None:
    """A later epoch numbers dispatches and attempts from 1, so its first lease looks old."""
    old = Lease(await queue(store, "a.txt"), 1, 1)
    await store.lease_batch(RUN, old, 0, 1)
    new = Lease(await queue(store, "a.txt", run_id="second") if later == (1, 1) else old.epoch, *later)
    await store.lease_batch(RUN, new, 0, 1)
    before = [await read_table(superuser, table) for table in ("documents", "document_texts", "document_parts")]
    with pytest.raises(StaleWriter):
        await write(store, old)
    assert before == [await read_table(superuser, table) for table in ("documents", "document_texts", "document_parts")]
    await write(store, new)


async def test_later_epoch_leases_what_any_earlier_dispatch_held(store: PostgresManifestStore) -> None:
    epoch = await queue(store, "a.txt", "b.txt")
    await store.lease_batch(RUN, Lease(epoch, 7, 7), 0, 2)
    await store.quarantine(RUN, Lease(epoch, 7, 7), 1, DamagedDocument("It is torn."), attempts=1)
    lease = Lease(await store.claim(RUN, "second", at_least=1), 1, 1)
    await store.enqueue_unfinished(RUN, lease.epoch, quarantined=True)
    assert [entry.name for entry in await store.lease_batch(RUN, lease, 0, 2)] == ["a.txt", "b.txt"]
    await store.commit(RUN, lease, 0, processed(), attempts=1)
    await store.commit(RUN, lease, 1, processed(), attempts=1)


async def test_added_document_is_leased_whatever_dispatch_held_it_before(store: PostgresManifestStore) -> None:
    epoch = await queue(store, "a.txt")
    await store.lease_batch(RUN, Lease(epoch, 7, 7), 0, 1)
    lease = Lease(await store.claim(RUN, "second", at_least=1), 1, 1)
    assert (await store.enqueue_added(RUN, lease.epoch)).queued == 1
    await store.lease_batch(RUN, lease, 0, 1)
    await store.commit(RUN, lease, 0, processed(), attempts=1)


async def test_later_dispatch_replaces_a_higher_attempt(store: PostgresManifestStore) -> None:
    epoch = await queue(store, "a.txt")
    await store.lease_batch(RUN, Lease(epoch, 1, 3), 0, 1)
    await store.lease_batch(RUN, Lease(epoch, 2, 1), 0, 1)
    await store.commit(RUN, Lease(epoch, 2, 1), 0, processed(), attempts=1)


async def test_higher_attempt_never_replaces_a_later_dispatch(store: PostgresManifestStore) -> None:
    epoch = await queue(store, "a.txt")
    await store.lease_batch(RUN, Lease(epoch, 2, 1), 0, 1)
    with pytest.raises(StaleWriter):
        await store.lease_batch(RUN, Lease(epoch, 1, 3), 0, 1)
    await store.commit(RUN, Lease(epoch, 2, 1), 0, processed(), attempts=1)


async def test_attempt_whose_answer_was_lost_leases_again(store: PostgresManifestStore) -> None:
    lease = Lease(await queue(store, "a.txt"), 1, 1)
    first = await store.lease_batch(RUN, lease, 0, 1)
    assert await store.lease_batch(RUN, lease, 0, 1) == first
    await store.commit(RUN, lease, 0, processed(), attempts=1)


async def test_batch_with_one_lost_document_is_refused(store: PostgresManifestStore) -> None:
    epoch = await queue(store, "a.txt", "b.txt")
    await store.lease_batch(RUN, Lease(epoch, 1, 1), 0, 2)
    await store.lease_batch(RUN, Lease(epoch, 2, 1), 1, 2)
    with pytest.raises(StaleWriter):
        await store.lease_batch(RUN, Lease(epoch, 1, 1), 0, 2)


async def test_batch_leaves_the_next_ordinal_to_the_next_batch(store: PostgresManifestStore) -> None:
    """The next batch begins at the ordinal at which this batch ends; no document is in both."""
    epoch = await queue(store, "a.txt", "b.txt", "c.txt")
    await store.lease_batch(RUN, Lease(epoch, 1, 1), 2, 3)
    entries = await store.lease_batch(RUN, Lease(epoch, 2, 1), 0, 2)
    assert [entry.ordinal for entry in entries] == [0, 1]
    await store.commit(RUN, Lease(epoch, 1, 1), 2, processed(), attempts=1)


async def test_later_lease_of_a_batch_leaves_finished_documents_unchanged(
    store: PostgresManifestStore, pool: PostgresPool
) -> None:
    epoch = await queue(store, "a.txt", "b.txt")
    await store.lease_batch(RUN, Lease(epoch, 1, 1), 0, 2)
    await store.commit(RUN, Lease(epoch, 1, 1), 0, processed(), attempts=1)
    finished, _ = await list_commits(pool, RUN)
    entries = await store.lease_batch(RUN, Lease(epoch, 1, 2), 0, 2)
    assert [entry.status for entry in entries] == ["processed", "pending"]
    assert (await list_commits(pool, RUN))[0] == finished


async def test_lease_of_one_run_leaves_other_runs_unchanged(
    store: PostgresManifestStore, superuser: asyncpg.Connection
) -> None:
    epoch = await queue(store, "a.txt")
    await superuser.execute("INSERT INTO runs (workflow_id, epoch) VALUES ('other', 1)")
    await superuser.execute(
        """INSERT INTO documents (workflow_id, position, uri, name, source, size_bytes, version, epoch, ordinal)
           SELECT 'other', position, uri, name, source, size_bytes, version, epoch, ordinal FROM documents"""
    )
    lease = Lease(epoch, 1, 1)
    assert len(await store.lease_batch(RUN, lease, 0, 1)) == 1
    await store.keep_parts(RUN, lease, 0, b"part")
    await store.commit(RUN, lease, 0, processed(), attempts=1)
    rows = await superuser.fetch("SELECT status, dispatch FROM documents WHERE workflow_id = 'other'")
    assert [tuple(row) for row in rows] == [("pending", 0)]


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
async def test_parts_stored_during_an_open_result_do_not_outlive_it(
    store: PostgresManifestStore, held_pool: HeldPool, superuser: asyncpg.Connection, result: Write
) -> None:
    lease = Lease(await queue(store, "a.txt"), 1, 1)
    await store.lease_batch(RUN, lease, 0, 1)
    finishing = asyncio.create_task(result(PostgresManifestStore(held_pool), lease))
    holder = await held_pool.wait_until_held(finishing)
    keeping = asyncio.create_task(store.keep_parts(RUN, lease, 0, b"late"))
    await is_blocked(superuser, keeping, by=holder)
    held_pool.release()
    await finishing
    with pytest.raises(AlreadyCommitted):
        await keeping
    assert await read_table(superuser, "document_parts") == []


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
async def test_result_during_an_open_write_of_parts_deletes_them(
    store: PostgresManifestStore, held_pool: HeldPool, superuser: asyncpg.Connection, result: Write
) -> None:
    lease = Lease(await queue(store, "a.txt"), 1, 1)
    await store.lease_batch(RUN, lease, 0, 1)
    keeping = asyncio.create_task(PostgresManifestStore(held_pool).keep_parts(RUN, lease, 0, b"part"))
    holder = await held_pool.wait_until_held(keeping)
    finishing = asyncio.create_task(result(store, lease))
    await is_blocked(superuser, finishing, by=holder)
    held_pool.release()
    await keeping
    await finishing
    assert await read_table(superuser, "document_parts") == []


async def test_two_open_results_of_one_document_store_one(
    store: PostgresManifestStore, held_pool: HeldPool, superuser: asyncpg.Connection
) -> None:
    lease = Lease(await queue(store, "a.txt"), 1, 1)
    await store.lease_batch(RUN, lease, 0, 1)
    first = asyncio.create_task(RESULTS["quarantine"](PostgresManifestStore(held_pool), lease))
    holder = await held_pool.wait_until_held(first)
    second = asyncio.create_task(RESULTS["commit"](store, lease))
    await is_blocked(superuser, second, by=holder)
    held_pool.release()
    await first
    with pytest.raises(AlreadyCommitted):
        await second
    assert len(await store.failures(RUN)) == 1
    assert await read_table(superuser, "document_texts") == []


async def test_lease_during_an_open_result_leaves_the_result(
    store: PostgresManifestStore, held_pool: HeldPool, superuser: asyncpg.Connection, pool: PostgresPool
) -> None:
    old = Lease(await queue(store, "a.txt"), 1, 1)
    await store.lease_batch(RUN, old, 0, 1)
    finishing = asyncio.create_task(RESULTS["commit"](PostgresManifestStore(held_pool), old))
    holder = await held_pool.wait_until_held(finishing)
    leasing = asyncio.create_task(store.lease_batch(RUN, Lease(old.epoch, 1, 2), 0, 1))
    await is_blocked(superuser, leasing, by=holder)
    held_pool.release()
    await finishing
    await asyncio.wait({leasing})
    (commit,) = await list_commits(pool, RUN)
    assert (commit.status, commit.attempt, commit.results) == ("processed", 1, 1)
    # The statement of the lease may have begun before the result was visible; the attempt is then repeated.
    if leasing.exception() is None:
        assert [entry.status for entry in leasing.result()] == ["processed"]
    else:
        assert isinstance(leasing.exception(), StaleWriter)
