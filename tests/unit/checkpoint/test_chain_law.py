"""The rules of the chain of checkpoints, and the synchronisation of stores."""

from pathlib import Path

import pytest

from perdure.checkpoint import Link, check_follows, check_stored, follows
from perdure.checkpoint.sync import sync, sync_all
from perdure.errors import CheckpointConflict, CheckpointGap, StaleWriter
from perdure.stores.files.json_file import PersistentCheckpointStore
from tests.conformance.chains import following, make_chain, make_checkpoint

RUN = "run"


def test_any_checkpoint_may_begin_an_empty_chain() -> None:
    check_follows(make_checkpoint(RUN, 7, previous_digest="0" * 64), None)


def test_only_the_next_sequence_with_the_right_digest_follows() -> None:
    first, second = make_chain(RUN, 2)
    assert follows(second, first)
    assert follows(second, Link(1, first.digest))
    assert not follows(second, Link(1, "0" * 64))
    for wrong in (first, following(second), following(first, sequence=3)):
        with pytest.raises(CheckpointGap):
            check_follows(wrong, first)


def test_a_lower_epoch_is_stale_before_it_is_a_gap() -> None:
    first = make_checkpoint(RUN, epoch=3)
    with pytest.raises(StaleWriter):
        check_follows(following(first, sequence=9, epoch=2), first)


def test_a_stored_checkpoint_is_recognised_and_a_forged_one_refused() -> None:
    first, second = make_chain(RUN, 2)
    assert check_stored(first, [first, second])
    assert not check_stored(following(second), [first, second])
    with pytest.raises(CheckpointConflict):
        check_stored(first.model_copy(update={"processed_documents": 9}), [first])


@pytest.fixture
def stores(tmp_path: Path) -> list[PersistentCheckpointStore]:
    """Return three empty stores."""
    return [PersistentCheckpointStore(tmp_path / name) for name in ("a", "b", "c")]


async def test_history_is_tried_before_the_other_stores(stores: list[PersistentCheckpointStore]) -> None:
    chain = make_chain(RUN, 5)
    await stores[0].restore(chain[:1])
    await stores[1].restore(chain[:3])
    assert await sync_all(stores, RUN, chain[1:4]) == [3, 1, 3]
    assert [len(await store.list(RUN)) for store in stores] == [4, 4, 3], (
        "an empty store begins where the first source begins"
    )


async def test_source_that_begins_too_late_is_skipped_for_another(stores: list[PersistentCheckpointStore]) -> None:
    chain = make_chain(RUN, 6)
    await stores[0].restore(chain[:2])
    await stores[1].restore(chain[4:])
    await stores[2].restore(chain)
    assert await sync(stores[0], stores, RUN) == 4
    assert list(await stores[0].list(RUN)) == chain


async def test_a_gap_that_no_source_fills_is_raised(stores: list[PersistentCheckpointStore]) -> None:
    chain = make_chain(RUN, 6)
    await stores[0].restore(chain[:2])
    await stores[1].restore(chain[4:])
    with pytest.raises(CheckpointGap):
        await sync(stores[0], stores, RUN)
    assert await sync_all(stores[:2], RUN) == [0, 0]
    assert list(await stores[0].list(RUN)) == chain[:2]
