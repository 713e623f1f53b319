"""The copy of a run has exactly the documents that its checkpoint counts, and is made once."""

import asyncio

import asyncpg
import pytest

from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import DamagedDocument, RefusedCommand
from perdure.manifest import Lease
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.forks import Copied, copy_run
from perdure.stores.postgres.manifest import PostgresManifestStore
from tests.conformance.chains import make_checkpoint
from tests.conformance.held_pool import HeldPool, is_blocked
from tests.conformance.queued_run import RUN, queue
from tests.integration.made_documents import discovered, processed

OUTPUTS = ("document_texts", "chunks", "mentions")


@pytest.fixture
async def store(pool: PostgresPool) -> PostgresManifestStore:
    return PostgresManifestStore(pool)


async def finish(store: PostgresManifestStore, epoch: int, *ordinals: int) -> None:
    """Give each document a result with its own text."""
    for ordinal in ordinals:
        (entry,) = await store.lease_batch(RUN, Lease(epoch, 1, 1), ordinal, ordinal + 1)
        await store.commit(RUN, Lease(epoch, 1, 1), entry.position, processed(f"text of {entry.name}"), attempts=1)


def taken(epoch: int, total: int, watermark: int, *beyond: tuple[int, int]) -> WorkflowCheckpoint:
    """Return a checkpoint that counts these ordinals of an epoch as finished."""
    ranges = [list(pair) for pair in beyond]
    return make_checkpoint(RUN, epoch=epoch, documents_total=total, watermark=watermark, beyond_watermark=ranges)


async def read_statuses(conn: asyncpg.Connection) -> dict[str, str]:
    rows = await conn.fetch("SELECT name, status FROM documents WHERE workflow_id = 'fork' ORDER BY position")
    return {row["name"]: row["status"] for row in rows}


async def test_fork_has_the_results_that_its_checkpoint_counts(
    store: PostgresManifestStore, pool: PostgresPool, superuser: asyncpg.Connection
) -> None:
    epoch = await queue(store, "a", "b", "c", "d", "e", "f")
    await finish(store, epoch, 0, 1, 2, 3, 4)
    assert await copy_run(pool, taken(epoch, 6, 2, (3, 4)), "fork") == Copied(3, 0, 3)
    assert await read_statuses(superuser) == {
        "a": "processed", "b": "processed", "c": "pending", "d": "processed", "e": "pending", "f": "pending"
    }  # fmt: skip
    for table in OUTPUTS:
        rows = await superuser.fetch(f"SELECT position FROM {table} WHERE workflow_id = 'fork' ORDER BY 1")
        assert [row["position"] for row in rows] == [0, 1, 3], table
    texts = await superuser.fetch("SELECT text FROM document_texts WHERE workflow_id = 'fork' ORDER BY position")
    assert [row["text"] for row in texts] == ["text of a", "text of b", "text of d"]


async def test_fork_repeats_what_was_processed_after_its_checkpoint(
    store: PostgresManifestStore, pool: PostgresPool, superuser: asyncpg.Connection
) -> None:
    """A later epoch has processed a document again; its result at the checkpoint is gone."""
    first = await queue(store, "a", "b")
    await finish(store, first, 0, 1)
    later = await store.claim(RUN, "second", at_least=1)
    await store.record(RUN, later, [discovered("a"), discovered("b", "v2")])
    await store.settle_candidate(RUN, later, 1, changed=True)
    await store.enqueue_unfinished(RUN, later, quarantined=False)
    await finish(store, later, 0)
    assert await copy_run(pool, taken(first, 2, 2), "fork") == Copied(1, 0, 1)
    assert await read_statuses(superuser) == {"a": "processed", "b": "pending"}
    assert await copy_run(pool, taken(later, 2, 1), "later fork") == Copied(2, 0, 0)


async def test_fork_has_no_document_that_was_added_after_its_checkpoint(
    store: PostgresManifestStore, pool: PostgresPool, superuser: asyncpg.Connection
) -> None:
    """A removed document is not counted, but it keeps its position."""
    first = await queue(store, "a", "b", "c")
    await finish(store, first, 0, 1, 2)
    later = await store.claim(RUN, "second", at_least=1)
    await store.record(RUN, later, [discovered("b"), discovered("c")])
    await store.refresh(RUN, later, ["file:///papers"], 10)
    await store.enqueue_unfinished(RUN, later, quarantined=False)
    checkpoint = taken(later, 2, 0)
    await store.record(RUN, later, [discovered("d")])
    await store.enqueue_added(RUN, later)
    assert await copy_run(pool, checkpoint, "fork") == Copied(2, 0, 0)
    assert await read_statuses(superuser) == {"b": "processed", "c": "processed"}


async def test_fork_keeps_quarantined_documents_with_their_reason(
    store: PostgresManifestStore, pool: PostgresPool
) -> None:
    epoch = await queue(store, "a", "b")
    await store.lease_batch(RUN, Lease(epoch, 1, 1), 0, 2)
    await store.quarantine(RUN, Lease(epoch, 1, 1), 0, DamagedDocument("It is torn."), attempts=3)
    assert await copy_run(pool, taken(epoch, 2, 1), "fork") == Copied(0, 1, 1)
    (failure,) = await store.failures("fork")
    assert (failure.uri, failure.reason, failure.attempts) == (discovered("a").uri, "It is torn.", 3)


async def test_second_copy_during_an_open_one_adds_nothing(
    store: PostgresManifestStore, pool: PostgresPool, held_pool: HeldPool, superuser: asyncpg.Connection
) -> None:
    epoch = await queue(store, "a", "b")
    await finish(store, epoch, 0)
    checkpoint = taken(epoch, 2, 1)
    first = asyncio.create_task(copy_run(held_pool, checkpoint, "fork"))
    holder = await held_pool.wait_until_held(first)
    second = asyncio.create_task(copy_run(pool, checkpoint, "fork"))
    await is_blocked(superuser, second, by=holder)
    held_pool.release()
    assert await first == await second == Copied(1, 0, 1)


async def test_fork_under_the_id_of_another_run_is_refused(
    store: PostgresManifestStore, pool: PostgresPool, superuser: asyncpg.Connection
) -> None:
    epoch = await queue(store, "a", "b")
    await finish(store, epoch, 0)
    await copy_run(pool, taken(epoch, 2, 1), "fork")
    await store.claim("another", "first", at_least=1)
    before = await superuser.fetch("SELECT * FROM documents ORDER BY workflow_id, position")
    other = taken(epoch, 2, 0).model_copy(update={"checkpoint_id": "chk_other"})
    for checkpoint, target in ((other, "fork"), (taken(epoch, 2, 1), "another"), (taken(epoch, 2, 1), RUN)):
        with pytest.raises(RefusedCommand, match="not a fork of this checkpoint"):
            await copy_run(pool, checkpoint, target)
    assert await superuser.fetch("SELECT * FROM documents ORDER BY workflow_id, position") == before


async def test_fork_of_a_run_that_the_database_lost_is_refused(
    pool: PostgresPool, superuser: asyncpg.Connection
) -> None:
    with pytest.raises(RefusedCommand, match="has no documents of 'run'"):
        await copy_run(pool, taken(1, 2, 1), "fork")
    assert await superuser.fetchval("SELECT count(*) FROM runs") == 0
