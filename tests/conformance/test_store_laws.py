"""The laws of every checkpoint store; each test checks one law of `CheckpointStore`."""

import asyncio

import pytest

from perdure.checkpoint import CheckpointStore, canonical_json, compute_digest, seal
from perdure.errors import CheckpointConflict, CheckpointGap, StaleWriter
from tests.conformance.chains import append_chain, assert_whole, following, make_chain, make_checkpoint, new_workflow_id
from tests.conformance.conftest import OpenStore

HOSTILE_IDS = [
    "plain",
    "Plain",
    "PLAIN",
    ".",
    "..",
    "../plain",
    "/etc/passwd",
    "a/b",
    "a%2Fb",
    "a\\b",
    ".hidden",
    " ",
    " plain",
    "plain ",
    "",
    "%",
    "%=",
    "~",
    "café",
    "cafe\u0301",
    "名前",
    "😀",
    "line\nbreak",
    "tab\t",
    "quote'\"; DROP TABLE runs; --",
    "plain_checkpoints.json",
    "x" * 201,
    "x" * 1000,
    "x" * 999 + "y",
    "é" * 400,
    "CON",
    "nul",
    "$1",
    "*?[a]",
]


async def test_appended_checkpoints_are_read_back_unchanged(store: CheckpointStore) -> None:
    chain = make_chain(new_workflow_id(), 3)
    await append_chain(store, chain)
    assert list(await store.list(chain[0].workflow_id)) == chain
    assert await store.latest(chain[0].workflow_id) == chain[-1]
    for checkpoint in chain:
        assert await store.get(checkpoint.workflow_id, checkpoint.checkpoint_id) == checkpoint


async def test_appended_checkpoints_are_read_by_another_store_object(open_store: OpenStore) -> None:
    chain = make_chain(new_workflow_id(), 2)
    await append_chain(open_store(), chain)
    assert list(await open_store().list(chain[0].workflow_id)) == chain


async def test_unknown_ids_return_none_or_an_empty_list(store: CheckpointStore) -> None:
    known = make_checkpoint(new_workflow_id())
    await store.append(known)
    assert await store.latest("unknown") is None
    assert list(await store.list("unknown")) == []
    assert await store.get("unknown", known.checkpoint_id) is None
    assert await store.get(None, known.checkpoint_id) == known
    assert await store.get(None, "chk_unknown") is None
    assert await store.get(known.workflow_id, "chk_unknown") is None


async def test_an_empty_storage_can_be_read(store: CheckpointStore) -> None:
    assert list(await store.workflow_ids()) == []
    assert await store.latest("unknown") is None


async def test_a_repeated_append_returns_false_and_changes_nothing(open_store: OpenStore) -> None:
    store = open_store()
    chain = make_chain(new_workflow_id(), 4)
    await append_chain(store, chain)
    for again in (store, open_store()):
        for checkpoint in (chain[3], chain[0], chain[2]):
            assert await again.append(checkpoint) is False
    assert list(await store.list(chain[0].workflow_id)) == chain


async def test_a_replaced_writer_may_repeat_its_stored_checkpoint(store: CheckpointStore) -> None:
    first = make_checkpoint(new_workflow_id())
    await append_chain(store, [first, following(first, epoch=2)])
    assert await store.append(first) is False


@pytest.mark.parametrize("position", [0, 1, 2], ids=["first", "middle", "latest"])
async def test_other_content_under_a_stored_id_is_a_conflict(store: CheckpointStore, position: int) -> None:
    chain = make_chain(new_workflow_id(), 3)
    await append_chain(store, chain)
    forged = chain[position].model_copy(update={"processed_documents": 99})
    for other in (forged, seal(forged)):
        with pytest.raises(CheckpointConflict):
            await store.append(other)
    assert list(await store.list(chain[0].workflow_id)) == chain


async def test_a_wrong_sequence_or_previous_digest_is_a_gap(store: CheckpointStore) -> None:
    chain = make_chain(new_workflow_id(), 2)
    await append_chain(store, chain)
    after = following(chain[1])
    skipping = following(chain[1], sequence=4)
    unlinked = following(chain[1], previous_digest=chain[0].digest)
    for wrong in (skipping, unlinked, following(after)):
        with pytest.raises(CheckpointGap):
            await store.append(wrong)
    assert await store.append(after) is True


async def test_an_empty_chain_begins_at_any_sequence(store: CheckpointStore) -> None:
    first = make_checkpoint(new_workflow_id(), 7, previous_digest="0" * 64)
    await append_chain(store, [first, following(first)])
    with pytest.raises(CheckpointGap):
        await store.append(make_checkpoint(first.workflow_id, 6))


async def test_a_lower_epoch_is_a_stale_writer(store: CheckpointStore) -> None:
    first = make_checkpoint(new_workflow_id(), epoch=3)
    await store.append(first)
    with pytest.raises(StaleWriter):
        await store.append(following(first, epoch=2))
    await append_chain(store, [second := following(first, epoch=3), following(second, epoch=9)])


async def test_a_stale_epoch_is_reported_before_a_gap(store: CheckpointStore) -> None:
    first = make_checkpoint(new_workflow_id(), epoch=3)
    await store.append(first)
    with pytest.raises(StaleWriter):
        await store.append(following(first, sequence=9, epoch=2))


async def test_checkpoints_are_listed_in_numeric_order(store: CheckpointStore) -> None:
    chain = make_chain(new_workflow_id(), 12)
    await append_chain(store, chain)
    assert [checkpoint.sequence for checkpoint in await store.list(chain[0].workflow_id)] == list(range(1, 13))


async def test_similar_workflow_ids_have_separate_chains(store: CheckpointStore) -> None:
    chains = {workflow_id: make_chain(workflow_id, 2) for workflow_id in HOSTILE_IDS}
    for chain in chains.values():
        await store.append(chain[0])
    for chain in chains.values():
        await store.append(chain[1])
    for workflow_id, chain in chains.items():
        assert list(await store.list(workflow_id)) == chain
        assert await store.latest(workflow_id) == chain[-1]
    assert list(await store.workflow_ids()) == sorted(HOSTILE_IDS)


async def test_unusual_values_keep_their_digest(store: CheckpointStore) -> None:
    state = {
        "numbers": [0.1, 1e-7, 1e22, 1e16, 1.0, -0.0, 5e-324, 1.7976931348623157e308, 2**63, -(10**400), 0, True],
        "texts": ["", "\u2028\u2029", "\u007f\u0080", "\ufeff", "\uffff", "😀", '"\\/\b\f\n\r\t', "é", "e\u0301"],
        "empty": [{}, [], {"": {"": []}}, None, False],
        "order": {"b": 1, "a": 2, "aa": 3, "": 4, "B": 5, "é": 6, "😀": 7, "\uffff": 8},
    }
    checkpoint = make_checkpoint(new_workflow_id(), values=state)
    await store.append(checkpoint)
    found = await store.latest(checkpoint.workflow_id)
    assert found is not None
    assert found == checkpoint
    assert compute_digest(found) == checkpoint.digest
    assert canonical_json(found.model_dump(mode="json")) == canonical_json(checkpoint.model_dump(mode="json"))


async def test_a_large_checkpoint_is_stored_and_repeated(store: CheckpointStore) -> None:
    chain = make_chain(new_workflow_id(), 3, padding="x" * 300_000)
    await append_chain(store, chain)
    assert await store.append(chain[1]) is False
    assert await store.latest(chain[0].workflow_id) == chain[-1]


async def test_one_of_many_writers_of_one_sequence_wins(open_store: OpenStore) -> None:
    stores = [open_store() for _ in range(4)]
    first = make_checkpoint(new_workflow_id())
    await stores[0].append(first)
    rivals = [following(first, writer=writer) for writer in range(8)]
    outcomes = await asyncio.gather(
        *(stores[number % 4].append(rival) for number, rival in enumerate(rivals)), return_exceptions=True
    )
    assert outcomes.count(True) == 1
    assert all(isinstance(outcome, (CheckpointConflict, CheckpointGap)) for outcome in outcomes if outcome is not True)
    assert list(await stores[0].list(first.workflow_id)) == [first, rivals[outcomes.index(True)]]


async def test_the_same_checkpoint_from_many_writers_is_stored_once(open_store: OpenStore) -> None:
    stores = [open_store() for _ in range(4)]
    chain = make_chain(new_workflow_id(), 2)
    await stores[0].append(chain[0])
    outcomes = await asyncio.gather(*(stores[number % 4].append(chain[1]) for number in range(12)))
    assert outcomes.count(True) == 1
    assert list(await stores[0].list(chain[0].workflow_id)) == chain


async def test_restore_appends_the_missing_checkpoints(open_store: OpenStore) -> None:
    chain = make_chain(new_workflow_id(), 5)
    store = open_store()
    await append_chain(store, chain[:2])
    assert await store.restore(chain[1:]) == 3
    assert list(await store.list(chain[0].workflow_id)) == chain
    assert_whole(list(await store.list(chain[0].workflow_id)))


async def test_a_store_can_be_closed_twice(store: CheckpointStore) -> None:
    await store.append(make_checkpoint(new_workflow_id()))
    await store.close()
    await store.close()
