"""Mirroring to several stores: each store gets every checkpoint once, even if it lags."""

from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.checkpoints import CheckpointActivities
from perdure.checkpoint import WorkflowCheckpoint
from perdure.checkpoint.sync import sync
from perdure.stores.files.json_file import PersistentCheckpointStore
from tests.conformance.chains import make_chain

RUN = "run"


@pytest.fixture
def stores(tmp_path: Path) -> list[PersistentCheckpointStore]:
    return [PersistentCheckpointStore(tmp_path / name) for name in ("first", "second")]


async def mirror(stores: list[PersistentCheckpointStore], checkpoint: WorkflowCheckpoint) -> None:
    await ActivityEnvironment().run(CheckpointActivities(stores).mirror_checkpoint, checkpoint)


async def test_every_store_has_each_checkpoint_once_however_often_it_is_mirrored(
    stores: list[PersistentCheckpointStore],
) -> None:
    chain = make_chain(RUN, 3)
    for checkpoint in chain:
        for _ in range(2):
            await mirror(stores, checkpoint)
    assert [list(await store.list(RUN)) for store in stores] == [chain, chain]


async def test_a_store_that_lags_behind_is_brought_up_to_date(stores: list[PersistentCheckpointStore]) -> None:
    chain = make_chain(RUN, 4)
    for checkpoint in chain[:3]:
        await stores[0].append(checkpoint)
    await stores[1].append(chain[0])
    await mirror(stores, chain[3])
    assert [list(await store.list(RUN)) for store in stores] == [chain, chain]


async def test_leading_store_with_a_gap_refuses_the_checkpoint(stores: list[PersistentCheckpointStore]) -> None:
    chain = make_chain(RUN, 4)
    for checkpoint in chain[:3]:
        await stores[1].append(checkpoint)
    await stores[0].append(chain[0])
    with pytest.raises(ApplicationError) as refused:
        await mirror(stores, chain[3])
    assert (refused.value.type, refused.value.non_retryable) == ("CheckpointGap", True)


async def test_nothing_is_copied_to_a_store_that_has_everything(stores: list[PersistentCheckpointStore]) -> None:
    for checkpoint in make_chain(RUN, 2):
        await mirror(stores, checkpoint)
    assert await sync(stores[0], stores, RUN) == 0


async def test_checkpoint_that_contradicts_the_stores_is_never_retried(
    stores: list[PersistentCheckpointStore],
) -> None:
    chain = make_chain(RUN, 2)
    await mirror(stores, chain[0])
    other = chain[0].model_copy(update={"processed_documents": 99})
    with pytest.raises(ApplicationError) as refused:
        await mirror(stores, other)
    assert (refused.value.type, refused.value.non_retryable) == ("CheckpointConflict", True)
