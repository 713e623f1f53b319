"""The activity `recover` on a real Postgres that was set back or taken over."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.recovery import RecoverRequest, RecoverResult, RecoveryActivities
from perdure.checkpoint import CheckpointStore, WorkflowCheckpoint
from perdure.errors import StaleWriter
from perdure.stores.files.json_file import PersistentCheckpointStore
from perdure.stores.postgres.checkpoints import PostgresCheckpointStore
from perdure.stores.postgres.connection import PostgresPool
from tests.conformance.chains import make_chain
from tests.integration.made_documents import discovered
from tests.integration.test_manifest_changes import RUN, Shelf


@dataclass
class Recorded:
    """The parts of a history that a recovery reads."""

    checkpoints: list[WorkflowCheckpoint] = field(default_factory=list)
    added_sources: list[str] = field(default_factory=list)


class Patient:
    """A run over a shelf, its checkpoint stores, and the activity that recovers it."""

    def __init__(self, pool: PostgresPool, folder: Path) -> None:
        self.shelf = Shelf(pool)
        self.shelf.content = {"a.txt": ("v1", "first text"), "b.txt": ("v1", "second text")}
        self.stores: list[CheckpointStore] = [PostgresCheckpointStore(pool), PersistentCheckpointStore(folder)]
        self.history = Recorded()
        self._activities = RecoveryActivities(self.shelf.activities, self.stores, self._read_history)

    async def recover(self, epoch: int, *, total: int = 2, number: int = 1) -> RecoverResult:
        request = RecoverRequest(
            workflow_id=RUN, claim=f"first/{number}", epoch=epoch, sources=["file:///papers"], total=total
        )
        return await ActivityEnvironment().run(self._activities.recover, request)

    async def _read_history(self, _: str) -> Recorded:
        return self.history


@pytest.fixture
def patient(pool: PostgresPool, tmp_path: Path) -> Patient:
    return Patient(pool, tmp_path)


async def test_document_that_changed_before_a_recovery_is_processed_again(patient: Patient) -> None:
    """The restored backup holds an older result of a document whose content has changed since."""
    shelf = patient.shelf
    await shelf.process(await shelf.discover("first"))
    shelf.content = {
        "a.txt": ("v2", "first text, revised"),
        "b.txt": ("v2", "second text"),  # touched: another version, the same content
        "c.txt": ("v1", "third text"),
    }
    result = await patient.recover(1, total=3)
    assert result.names == ["a.txt", "c.txt"]
    assert (result.totals.total, result.totals.processed, result.totals.queued) == (3, 1, 2)


async def test_recovery_fences_every_writer_of_the_former_epoch(patient: Patient) -> None:
    begun = await patient.shelf.discover("first")
    result = await patient.recover(begun.epoch)
    assert result.epoch == begun.epoch + 1
    with pytest.raises(StaleWriter):
        await patient.shelf.store.record(RUN, begun.epoch, [discovered("late.txt")])


async def test_replaced_run_gets_no_new_epoch(patient: Patient) -> None:
    """Otherwise two runs would take the manifest from each other again and again."""
    first = await patient.shelf.discover("first")
    second = await patient.shelf.discover("second")
    with pytest.raises(ApplicationError) as refused:
        await patient.recover(first.epoch)
    assert (refused.value.type, refused.value.non_retryable) == ("StaleWriter", True)
    await patient.shelf.store.record(RUN, second.epoch, [discovered("new.txt")])


async def test_recovery_of_a_lost_database_gives_out_no_earlier_epoch(patient: Patient) -> None:
    """A worker of the lost database may still hold a lease of an earlier epoch."""
    result = await patient.recover(7)
    assert result.epoch == 8
    assert result.names == ["a.txt", "b.txt"]


async def test_repeated_recovery_gives_the_same_result(patient: Patient) -> None:
    await patient.shelf.discover("first")
    once = await patient.recover(1)
    assert await patient.recover(1) == once
    assert (await patient.recover(once.epoch, number=2)).epoch == once.epoch + 1


async def test_recovery_queues_documents_that_updates_had_added(patient: Patient) -> None:
    shelf = patient.shelf
    await shelf.discover("first")
    shelf.content["added.txt"] = ("v1", "third text")
    patient.history.added_sources = [discovered("added.txt").uri]
    shelf.outside.add("added.txt")
    result = await patient.recover(1, total=3)
    assert result.names == ["a.txt", "b.txt", "added.txt"]


async def test_recovery_gives_every_store_the_recorded_checkpoints(patient: Patient) -> None:
    """Postgres has one of three checkpoints, and the file has two; the history has all three."""
    begun = await patient.shelf.discover("first")
    chain = make_chain(RUN, 3)
    await patient.stores[0].append(chain[0])
    for checkpoint in chain[:2]:
        await patient.stores[1].append(checkpoint)
    patient.history.checkpoints = chain
    result = await patient.recover(begun.epoch)
    assert (result.latest, result.restored) == (chain[-1], 2)
    assert [list(await store.list(RUN)) for store in patient.stores] == [chain, chain]
