"""The lock on a run: epochs, and the writers that must hold the latest one."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import asyncpg
import pytest

from perdure.errors import DamagedDocument, DependencyUnavailable, StaleWriter, StoreSetBack
from perdure.manifest import Lease
from perdure.stores.postgres import manifest as postgres_manifest
from perdure.stores.postgres import outputs as postgres_outputs
from perdure.stores.postgres.analytics import PostgresAnalyticsStore
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.identities import PostgresIdentityStore
from perdure.stores.postgres.manifest import PostgresManifestStore
from tests.conformance.held_pool import HeldPool, is_blocked
from tests.conformance.queued_run import RUN, queue, read_table
from tests.integration.made_documents import discovered, processed

Writer = Callable[[PostgresManifestStore, int], Coroutine[Any, Any, object]]
WRITERS: dict[str, Writer] = {
    "record": lambda store, epoch: store.record(RUN, epoch, [discovered("new.txt")]),
    "changed candidates": lambda store, epoch: store.changed_candidates(RUN, epoch, -1, 10),
    "settle": lambda store, epoch: store.settle_candidate(RUN, epoch, 0, changed=True),
    "refresh": lambda store, epoch: store.refresh(RUN, epoch, ["file:///papers"], 10),
    "enqueue unfinished": lambda store, epoch: store.enqueue_unfinished(RUN, epoch, quarantined=True),
    "enqueue added": lambda store, epoch: store.enqueue_added(RUN, epoch),
    "close": lambda store, epoch: store.close_run(RUN, epoch, "cancelled"),
}
SERVICES: dict[str, Callable[[PostgresPool, int], Coroutine[Any, Any, object]]] = {
    "identities": lambda pool, epoch: PostgresIdentityStore(pool).resolve(RUN, epoch),
    "analytics": lambda pool, epoch: PostgresAnalyticsStore(pool).build(RUN, epoch, 50),
}
WAITING = """SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'"""
"""The number of processes of this database that wait for a lock."""
TABLES = ("runs", "run_epochs", "documents", "identities", "graphs", "resolutions")


@pytest.fixture
async def store(pool: PostgresPool) -> PostgresManifestStore:
    return PostgresManifestStore(pool)


async def read_all(conn: asyncpg.Connection) -> list[object]:
    return [await read_table(conn, table) for table in TABLES]


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
async def test_writer_during_an_open_claim_changes_nothing(
    store: PostgresManifestStore, held_pool: HeldPool, superuser: asyncpg.Connection, write: Writer
) -> None:
    epoch = await queue(store, "a.txt")
    claiming = asyncio.create_task(PostgresManifestStore(held_pool).claim(RUN, "second", at_least=1))
    holder = await held_pool.wait_until_held(claiming)
    writing = asyncio.create_task(write(store, epoch))
    await is_blocked(superuser, writing, by=holder)
    held_pool.release()
    assert await claiming == epoch + 1
    before = await read_all(superuser)
    with pytest.raises(StaleWriter):
        await writing
    assert await read_all(superuser) == before


@pytest.mark.parametrize("write", SERVICES.values(), ids=SERVICES)
async def test_service_during_an_open_claim_stores_nothing(
    pool: PostgresPool,
    store: PostgresManifestStore,
    held_pool: HeldPool,
    superuser: asyncpg.Connection,
    write: Callable[[PostgresPool, int], Coroutine[Any, Any, object]],
) -> None:
    epoch = await queue(store, "a.txt")
    claiming = asyncio.create_task(PostgresManifestStore(held_pool).claim(RUN, "second", at_least=1))
    holder = await held_pool.wait_until_held(claiming)
    writing = asyncio.create_task(write(pool, epoch))
    await is_blocked(superuser, writing, by=holder)
    held_pool.release()
    await claiming
    before = await read_all(superuser)
    with pytest.raises(StaleWriter):
        await writing
    assert await read_all(superuser) == before


async def test_two_open_claims_get_different_epochs(
    store: PostgresManifestStore, held_pool: HeldPool, superuser: asyncpg.Connection
) -> None:
    await store.claim(RUN, "first", at_least=1)
    second = asyncio.create_task(PostgresManifestStore(held_pool).claim(RUN, "second", at_least=1))
    holder = await held_pool.wait_until_held(second)
    third = asyncio.create_task(store.claim(RUN, "third", at_least=1))
    await is_blocked(superuser, third, by=holder)
    held_pool.release()
    assert (await second, await third) == (2, 3)


async def test_two_claims_that_wait_for_the_run_get_different_epochs(
    pool: PostgresPool, store: PostgresManifestStore, superuser: asyncpg.Connection
) -> None:
    """Both claims have found the row of the run before either of them gets its lock."""
    await store.claim(RUN, "first", at_least=1)
    async with superuser.transaction():
        await superuser.execute("SELECT FROM runs FOR UPDATE")
        claims = [asyncio.create_task(store.claim(RUN, name, at_least=1)) for name in ("second", "third")]
        async with pool.connection() as observer, asyncio.timeout(90):
            while not any(claim.done() for claim in claims) and await observer.fetchval(WAITING) < 2:
                await asyncio.sleep(0.01)
    assert sorted(await asyncio.gather(*claims)) == [2, 3]


async def test_two_open_pages_get_different_positions(
    store: PostgresManifestStore, held_pool: HeldPool, superuser: asyncpg.Connection
) -> None:
    epoch = await store.claim(RUN, "first", at_least=1)
    first = asyncio.create_task(PostgresManifestStore(held_pool).record(RUN, epoch, [discovered("a.txt")]))
    holder = await held_pool.wait_until_held(first)
    second = asyncio.create_task(store.record(RUN, epoch, [discovered("a.txt"), discovered("b.txt")]))
    await is_blocked(superuser, second, by=holder)
    held_pool.release()
    await first
    await second
    await store.enqueue_unfinished(RUN, epoch, quarantined=False)
    assert await store.names(RUN, epoch, 0, 2) == ["a.txt", "b.txt"]


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("has_run", [True, False], ids=["older run", "no run"])
async def test_writer_of_an_epoch_that_the_database_lost_changes_nothing(
    store: PostgresManifestStore, superuser: asyncpg.Connection, write: Writer, *, has_run: bool
) -> None:
    if has_run:
        await queue(store, "a.txt")
    before = await read_all(superuser)
    with pytest.raises(StoreSetBack):
        await write(store, 2)
    assert await read_all(superuser) == before


@pytest.mark.parametrize("has_run", [True, False], ids=["older run", "no run"])
async def test_lease_of_an_epoch_that_the_database_lost_is_refused(
    store: PostgresManifestStore, *, has_run: bool
) -> None:
    if has_run:
        await queue(store, "a.txt")
    with pytest.raises(StoreSetBack):
        await store.lease_batch(RUN, Lease(2, 1, 1), 0, 1)
    with pytest.raises(StoreSetBack):
        await store.names(RUN, 2, 0, 1)


async def test_lease_beyond_the_queue_is_refused(store: PostgresManifestStore) -> None:
    """A workflow counts more documents than the queue has only if the database was set back."""
    epoch = await queue(store, "a.txt")
    with pytest.raises(StoreSetBack):
        await store.lease_batch(RUN, Lease(epoch, 1, 1), 0, 2)


async def test_claim_in_place_of_a_replaced_epoch_is_refused(store: PostgresManifestStore) -> None:
    first = await store.claim(RUN, "first", at_least=1)
    await store.claim(RUN, "second", at_least=1)
    with pytest.raises(StaleWriter):
        await store.claim(RUN, "first/1", at_least=1, replaces=first)
    assert await store.claim(RUN, "second/1", at_least=1, replaces=2) == 3
    assert await store.claim(RUN, "second/1", at_least=1, replaces=2) == 3


async def test_claim_marks_an_ended_run_in_progress(
    store: PostgresManifestStore, superuser: asyncpg.Connection
) -> None:
    epoch = await queue(store, "a.txt")
    await store.close_run(RUN, epoch, "cancelled")
    await store.claim(RUN, "first", at_least=1)
    assert await superuser.fetchval("SELECT status FROM run_progress") == "cancelled"
    await store.claim(RUN, "second", at_least=1)
    assert await superuser.fetchval("SELECT status FROM run_progress") == "in_progress"


async def test_run_with_a_lost_result_is_not_closed(
    store: PostgresManifestStore, superuser: asyncpg.Connection
) -> None:
    """The workflow counts two finished documents; the database was set back to one."""
    epoch = await queue(store, "a.txt", "b.txt")
    await store.lease_batch(RUN, Lease(epoch, 1, 1), 0, 2)
    await store.commit(RUN, Lease(epoch, 1, 1), 0, processed(), attempts=1)
    before = await read_all(superuser)
    for status in ("completed", "cancelled"):
        with pytest.raises(StoreSetBack, match="All 2 documents of run had a result, and only 1 have one now"):
            await store.close_run(RUN, epoch, status, expected_finished=2)
    assert await read_all(superuser) == before
    await store.commit(RUN, Lease(epoch, 1, 1), 1, processed(), attempts=1)
    assert (await store.close_run(RUN, epoch, "completed", expected_finished=2)).processed == 2


async def test_run_with_a_lost_row_is_not_closed(store: PostgresManifestStore) -> None:
    epoch = await queue(store, "a.txt")
    await store.lease_batch(RUN, Lease(epoch, 1, 1), 0, 1)
    await store.quarantine(RUN, Lease(epoch, 1, 1), 0, DamagedDocument("It is torn."), attempts=1)
    with pytest.raises(StoreSetBack):
        await store.close_run(RUN, epoch, "completed", expected_finished=2)
    assert (await store.close_run(RUN, epoch, "completed", expected_finished=1)).quarantined == 1


LEASE = Lease(1, 1, 1)
SHORT: dict[str, Writer] = {
    "claim": lambda store, epoch: store.claim(RUN, "second", at_least=epoch),
    "settle": lambda store, epoch: store.settle_candidate(RUN, epoch, 0, changed=True),
    "commit": lambda store, epoch: store.commit(RUN, Lease(epoch, 1, 1), 0, processed(), attempts=1),
    "quarantine": lambda store, epoch: store.quarantine(RUN, LEASE, 0, DamagedDocument("It is torn."), attempts=epoch),
    "parts": lambda store, epoch: store.keep_parts(RUN, Lease(epoch, 1, 1), 0, b"part"),
    "close": lambda store, epoch: store.close_run(RUN, epoch, "completed"),
}


@pytest.mark.parametrize("write", SHORT.values(), ids=SHORT)
async def test_server_ends_a_short_transaction_that_takes_too_long(
    database_url: str, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, write: Writer
) -> None:
    """A worker that is stopped in a statement would otherwise hold its locks until it continues."""
    pool = PostgresPool(database_url, command_timeout_seconds=20)
    store = PostgresManifestStore(pool)
    await queue(store, "a.txt")
    await store.lease_batch(RUN, LEASE, 0, 1)
    for module in (postgres_manifest, postgres_outputs):
        monkeypatch.setattr(module, "SHORT_SECONDS", 1.0)
    async with superuser.transaction():
        await superuser.execute("SELECT FROM runs JOIN documents USING (workflow_id) FOR UPDATE")
        with pytest.raises(DependencyUnavailable, match="transaction timeout"):
            await write(store, 1)
    await pool.close()
