"""The end of a run that another process records, in one transaction.

Only the end of the run that holds the epoch is recorded.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import CheckpointGap, DamagedDocument, StaleWriter
from perdure.manifest import Lease
from perdure.stores.postgres import PostgresCheckpointStore
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.endings import EndedRun, Standing, record_ending
from perdure.stores.postgres.manifest import PostgresManifestStore
from tests.conformance.chains import following, make_chain, make_checkpoint
from tests.conformance.held_pool import HeldPool, is_blocked
from tests.conformance.queued_run import RUN, queue, read_table
from tests.integration.made_documents import processed

TABLES = ("runs", "run_epochs", "documents", "workflow_checkpoints")


@pytest.fixture
async def store(pool: PostgresPool) -> PostgresManifestStore:
    return PostgresManifestStore(pool)


def ended(
    run_id: str = "first", status: str = "failed", *, earlier: tuple[str, ...] = (), minutes: int = 0
) -> EndedRun:
    """Return an ended run that began this number of minutes from now."""
    started = datetime.now(UTC) + timedelta(minutes=minutes)
    return EndedRun(RUN, run_id, {run_id, *earlier}, started, status)


def make_next(standing: Standing) -> WorkflowCheckpoint:
    if standing.latest is None:
        return make_checkpoint(RUN, epoch=standing.epoch, status="failed")
    return following(standing.latest, epoch=standing.epoch, status="failed")


async def is_ended() -> bool:
    return True


async def read_all(conn: asyncpg.Connection) -> list[object]:
    return [await read_table(conn, table) for table in TABLES]


async def test_recorded_end_revokes_every_lease(
    store: PostgresManifestStore, pool: PostgresPool, superuser: asyncpg.Connection
) -> None:
    """A worker of the ended run may be stopped, and continue after the end was recorded."""
    epoch = await queue(store, "a.txt", "b.txt", "c.txt")
    await store.lease_batch(RUN, Lease(epoch, 1, 1), 0, 1)
    await store.lease_batch(RUN, Lease(epoch, 2, 3), 1, 2)
    recorded = await record_ending(pool, ended(), make_next, is_ended)
    assert recorded
    for position, lease in ((0, Lease(epoch, 1, 1)), (1, Lease(epoch, 2, 3))):
        with pytest.raises(StaleWriter):
            await store.commit(RUN, lease, position, processed(), attempts=1)
        with pytest.raises(StaleWriter):
            await store.keep_parts(RUN, lease, position, b"part")
    assert await PostgresCheckpointStore(pool).latest(RUN) == recorded
    assert await superuser.fetchval("SELECT status FROM runs") == "failed"


@pytest.mark.parametrize(("status", "cancelled"), [("cancelled", 1), ("failed", 0)])
async def test_only_a_cancelled_run_cancels_its_documents(
    store: PostgresManifestStore, pool: PostgresPool, status: str, cancelled: int
) -> None:
    epoch = await queue(store, "a.txt", "b.txt", "c.txt")
    await store.lease_batch(RUN, Lease(epoch, 1, 1), 0, 3)
    await store.commit(RUN, Lease(epoch, 1, 1), 0, processed(), attempts=1)
    await store.quarantine(RUN, Lease(epoch, 1, 1), 1, DamagedDocument("It is torn."), attempts=1)
    standings: list[Standing] = []

    def make(standing: Standing) -> WorkflowCheckpoint:
        standings.append(standing)
        return make_next(standing)

    assert await record_ending(pool, ended(status=status), make, is_ended)
    totals = await store.totals(RUN)
    assert standings[0].totals == totals
    assert totals
    assert (totals.cancelled, totals.pending, totals.processed, totals.quarantined) == (cancelled, 1 - cancelled, 1, 1)


async def test_standing_names_the_finished_ranges_of_its_epoch(
    store: PostgresManifestStore, pool: PostgresPool
) -> None:
    first = await queue(store, "old.txt")
    await store.lease_batch(RUN, Lease(first, 1, 1), 0, 1)
    await store.commit(RUN, Lease(first, 1, 1), 0, processed(), attempts=1)
    epoch = await queue(store, *(f"{number}.txt" for number in range(8)), run_id="second")
    await store.lease_batch(RUN, Lease(epoch, 1, 1), 0, 8)
    for position in (1, 2, 3, 6, 8):  # the ordinals 0, 1, 2, 5 and 7
        await store.commit(RUN, Lease(epoch, 1, 1), position, processed(), attempts=1)
    standings: list[Standing] = []
    await record_ending(pool, ended("second"), standings.append, is_ended)
    assert (standings[0].epoch, standings[0].finished) == (epoch, [(0, 3), (5, 6), (7, 8)])


@pytest.mark.parametrize("refusal", ["nothing to record", "open again"])
async def test_unrecorded_end_changes_nothing(
    store: PostgresManifestStore, pool: PostgresPool, superuser: asyncpg.Connection, refusal: str
) -> None:
    epoch = await queue(store, "a.txt")
    await store.lease_batch(RUN, Lease(epoch, 1, 1), 0, 1)
    before = await read_all(superuser)

    async def is_still_ended() -> bool:
        return refusal == "nothing to record"

    make: Callable[[Standing], WorkflowCheckpoint | None] = make_next
    if refusal == "nothing to record":
        make = lambda _: None  # noqa: E731
    assert await record_ending(pool, ended(status="cancelled"), make, is_still_ended) is None
    assert await read_all(superuser) == before
    await store.commit(RUN, Lease(epoch, 1, 1), 0, processed(), attempts=1)


async def test_end_with_a_refused_checkpoint_changes_nothing(
    store: PostgresManifestStore, pool: PostgresPool, superuser: asyncpg.Connection
) -> None:
    await queue(store, "a.txt")
    await PostgresCheckpointStore(pool).append(make_checkpoint(RUN))
    before = await read_all(superuser)
    with pytest.raises(CheckpointGap):
        await record_ending(pool, ended(), lambda _: make_checkpoint(RUN, 7), is_ended)
    assert await read_all(superuser) == before


async def test_last_look_at_the_run_blocks_every_claim(
    store: PostgresManifestStore, pool: PostgresPool, superuser: asyncpg.Connection
) -> None:
    """A run that starts after the last check gets its epoch after the end is recorded.

    Otherwise the end is not recorded.
    """
    await queue(store, "a.txt")
    blocked: list[bool] = []
    claims: list[asyncio.Task[int]] = []

    async def look_and_claim() -> bool:
        holder = await superuser.fetchval(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
        )
        claims.append(asyncio.create_task(store.claim(RUN, "second", at_least=1)))
        blocked.append(await is_blocked(superuser, claims[0], by=holder))
        return True

    assert await record_ending(pool, ended(), make_next, look_and_claim)
    assert blocked == [True]
    assert await claims[0] == 2
    assert await superuser.fetchval("SELECT status FROM runs") == "in_progress"


async def test_end_of_a_run_that_claims_meanwhile_is_recorded_after_the_claim(
    store: PostgresManifestStore, pool: PostgresPool, held_pool: HeldPool, superuser: asyncpg.Connection
) -> None:
    await queue(store, "a.txt")
    claiming = asyncio.create_task(PostgresManifestStore(held_pool).claim(RUN, "second", at_least=1))
    holder = await held_pool.wait_until_held(claiming)
    recording = asyncio.create_task(record_ending(pool, ended(), make_next, is_ended))
    await is_blocked(superuser, recording, by=holder)
    held_pool.release()
    await claiming
    assert await recording is None, "the second run has replaced the first"
    assert await superuser.fetchval("SELECT status FROM runs") == "in_progress"


async def test_end_of_a_replaced_run_is_not_recorded(
    store: PostgresManifestStore, pool: PostgresPool, superuser: asyncpg.Connection
) -> None:
    await queue(store, "a.txt")
    await queue(store, "a.txt", run_id="second")
    before = await read_all(superuser)
    assert await record_ending(pool, ended("first"), make_next, is_ended) is None
    assert await record_ending(pool, ended("unclaimed", minutes=-9), make_next, is_ended) is None
    assert await read_all(superuser) == before
    assert await record_ending(pool, ended("second"), make_next, is_ended)


@pytest.mark.parametrize("claim", ["second/1", "second/2"])
async def test_end_of_a_run_that_claimed_again_is_recorded(
    store: PostgresManifestStore, pool: PostgresPool, claim: str
) -> None:
    await queue(store, "a.txt")
    epoch = await queue(store, "a.txt", run_id=claim)
    recorded = await record_ending(pool, ended("third", earlier=("second",)), make_next, is_ended)
    assert recorded
    assert recorded.epoch == epoch


async def test_end_of_a_run_without_a_claim_gets_the_next_epoch(
    store: PostgresManifestStore, pool: PostgresPool, superuser: asyncpg.Connection
) -> None:
    """The run began after every claim, and failed before its own."""
    epoch = await queue(store, "a.txt")
    recorded = await record_ending(pool, ended("second", minutes=9), make_next, is_ended)
    assert recorded
    assert recorded.epoch == epoch + 1
    with pytest.raises(StaleWriter):
        await store.record(RUN, epoch, [])
    assert await superuser.fetchval("SELECT first_run_id FROM run_epochs WHERE epoch = 2") == "second"


async def test_end_in_a_database_that_was_set_back_is_above_every_checkpoint(pool: PostgresPool) -> None:
    """The checkpoints were restored from another store; the rows of the run were lost."""
    await PostgresCheckpointStore(pool).restore(make_chain(RUN, 2))
    latest = (await PostgresCheckpointStore(pool).list(RUN))[-1]
    await PostgresCheckpointStore(pool).restore([following(latest, epoch=5)])
    recorded = await record_ending(pool, ended("second"), make_next, is_ended)
    assert recorded
    assert (recorded.sequence, recorded.epoch) == (4, 6)
