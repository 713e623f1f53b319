"""Digests, stored versions and ids show an edited, missing or foreign checkpoint."""

from pathlib import Path

import pytest

from perdure.checkpoint import Link, WorkflowCheckpoint, canonical_json, check_follows, compute_digest, seal, upgrade
from perdure.checkpoint.chain import checkpoint_id
from perdure.checkpoint.sync import sync
from perdure.errors import CheckpointConflict, CheckpointGap
from perdure.stores.files.json_file import PersistentCheckpointStore
from tests.conformance.chains import following, make_chain, make_checkpoint

RUN = "run"


def change(checkpoint: WorkflowCheckpoint, **metadata: object) -> WorkflowCheckpoint:
    """Return the checkpoint with other metadata under its old digest."""
    return checkpoint.model_copy(update={"metadata": {**checkpoint.metadata, **metadata}})


def test_digest_covers_the_content_and_the_link_to_the_checkpoint_before() -> None:
    first, second = make_chain(RUN, 2)
    changed = [
        change(second, previous_digest="0" * 64),
        change(second, epoch=2),
        change(second, sequence=3),
        second.model_copy(update={"processed_documents": 9}),
        second.model_copy(update={"workflow_id": "other"}),
        second.model_copy(update={"service_states": {}}),
    ]
    digests = {compute_digest(checkpoint) for checkpoint in (first, second, *changed)}
    assert len(digests) == len(changed) + 2


def test_digest_does_not_depend_on_the_digest_that_is_filled_in() -> None:
    checkpoint = make_checkpoint(RUN)
    assert compute_digest(change(checkpoint, digest="forged")) == checkpoint.digest
    assert seal(change(checkpoint, digest="forged")) == checkpoint


def test_digest_does_not_depend_on_the_order_of_keys() -> None:
    """Postgres returns the keys of a jsonb value in its own order."""
    assert canonical_json({"b": {"d": 1, "c": 2}, "a": 3}) == canonical_json({"a": 3, "b": {"c": 2, "d": 1}})
    assert canonical_json({"é": "\u2028"}) == '{"é":"\u2028"}'.encode()


def test_checkpoint_of_a_later_version_is_refused() -> None:
    stored = make_checkpoint(RUN).model_dump(mode="json")
    for version in ("2", "", None):
        with pytest.raises(ValueError, match="cannot be read by this version"):
            upgrade({**stored, "metadata": {**stored["metadata"], "checkpoint_version": version}})


def test_id_of_the_latest_is_not_given_to_the_next() -> None:
    first, second = make_chain(RUN, 2)
    with pytest.raises(CheckpointConflict):
        check_follows(second.model_copy(update={"checkpoint_id": first.checkpoint_id}), first)


def test_link_of_unknown_epoch_takes_any_epoch() -> None:
    first, second = make_chain(RUN, 2)
    check_follows(second, Link(first.sequence, first.digest))


async def test_store_that_no_source_continues_reports_the_gap(tmp_path: Path) -> None:

    stores = [PersistentCheckpointStore(tmp_path / name) for name in ("a", "b")]
    chain = make_chain(RUN, 5)
    await stores[0].restore(chain[:1])
    with pytest.raises(CheckpointGap):
        await sync(stores[0], stores, RUN, recorded=chain[3:])
    assert list(await stores[0].list(RUN)) == chain[:1]


async def test_sources_that_contradict_each_other_are_reported(tmp_path: Path) -> None:

    stores = [PersistentCheckpointStore(tmp_path / name) for name in ("a", "b")]
    first, second = make_chain(RUN, 2)
    await stores[0].restore([first])
    await stores[1].restore([first, following(first, writer="another"), following(following(first, writer="another"))])
    with pytest.raises(CheckpointGap):
        await sync(stores[0], stores[1:], RUN, recorded=[second, following(following(second))])
    assert list(await stores[0].list(RUN)) == [first, second]


def test_id_of_a_checkpoint_is_the_same_in_every_release() -> None:
    assert checkpoint_id("run", 1) == "chk_2eff165de700ad28d79f9157"
