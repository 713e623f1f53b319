"""Checkpoint objects: keys, races between writers, damaged objects, and unusable servers.

The file is longer than 300 lines because its tests share one store over a folder.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestration.embedded.configured import read_settings
from orchestration.stores import open_stores
from perdure.checkpoint import Auditable, Prunable, WorkflowCheckpoint
from perdure.errors import CheckpointConflict, CheckpointGap, DependencyUnavailable, InvalidConfiguration, StaleWriter
from perdure.stores.objects.address import check_url
from perdure.stores.objects.bucket import PROBE, Bucket
from perdure.stores.objects.keys import folder_of, key_of, sequence_of, workflow_id_of
from perdure.stores.objects.store import ObjectCheckpointStore
from tests.conformance.chains import append_chain, following, make_chain, make_checkpoint

RUN = "run"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of the objects."""
    return tmp_path / "objects"


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[ObjectCheckpointStore]:
    """Return a store over an empty folder."""
    store = ObjectCheckpointStore(folder.as_uri())
    yield store
    await store.close()


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket",
        "s3://bucket/",
        "s3://bucket/a/b",
        "s3://bucket/a b",
        "file:///folder",
        "file:///folder/",
        "file:///",
    ],
)
def test_usable_urls_are_accepted(url: str) -> None:
    assert check_url(url) in (url, url.rstrip("/"))


@pytest.mark.parametrize(
    "url",
    [
        "bucket",
        "/folder",
        "s3://",
        "s3:///prefix",
        "s3://key:secret@bucket/prefix",
        "s3://bucket:9000/prefix",
        "s3://bucket/prefix?versionId=1",
        "s3://bucket/../other",
        "s3://bucket/a//b",
        "file://folder",
        "file:folder",
        "memory:///",
        "https://host/bucket",
        "s3://[",
    ],
)
def test_a_wrong_url_is_refused_in_one_sentence(url: str) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        check_url(url)
    sentence = str(refused.value)
    assert sentence.startswith("PERDURE_CHECKPOINT_URL must have the form s3://bucket/prefix or file:///folder")
    assert sentence.count(".") == 1
    assert "secret" not in sentence


def test_keys_sort_by_sequence_and_spell_the_workflow_id() -> None:
    keys = [key_of("a/b", sequence) for sequence in (1, 2, 9, 10, 11, 100, 12345678)]
    assert keys == sorted(keys)
    assert keys[0] == "a%2Fb_checkpoints/000000000001.json"
    assert [sequence_of(key) for key in keys] == [1, 2, 9, 10, 11, 100, 12345678]
    assert workflow_id_of(folder_of("a/b")) == "a/b"
    assert workflow_id_of(folder_of("x" * 1000)) is None
    for other in ("notes.txt", f"{folder_of('a')}/1.json", f"{folder_of('a')}/000000000001.json.bak"):
        assert sequence_of(other) is None


async def test_object_holds_the_wire_form_of_its_checkpoint(store: ObjectCheckpointStore, folder: Path) -> None:
    chain = make_chain(RUN, 2)
    await append_chain(store, chain)
    files = sorted((folder / "run_checkpoints").iterdir())
    assert [file.name for file in files] == ["000000000001.json", "000000000002.json"]
    assert [json.loads(file.read_text()) for file in files] == [
        checkpoint.model_dump(mode="json") for checkpoint in chain
    ]
    assert (folder / PROBE).exists()
    assert isinstance(store, Auditable)
    assert isinstance(store, Prunable)


async def test_a_writer_that_loses_a_race_compares_with_the_winner(
    store: ObjectCheckpointStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_checkpoint(RUN)
    await store.append(first)
    winner = ObjectCheckpointStore(folder.as_uri())
    put_new = Bucket.put_new
    races: list[WorkflowCheckpoint] = []

    async def overtaken(bucket: Bucket, key: str, content: bytes) -> str | None:
        if races:
            await winner.append(races.pop())
        return await put_new(bucket, key, content)

    monkeypatch.setattr(Bucket, "put_new", overtaken)
    second = following(first)
    races.append(second)
    assert await store.append(second) is False, "the same checkpoint"
    races.append(following(second, writer=1))
    with pytest.raises(CheckpointConflict):
        await store.append(following(second, writer=2))
    third = (await store.list(RUN))[-1]
    races.append(following(third, epoch=5))
    with pytest.raises((StaleWriter, CheckpointConflict)):
        await store.append(following(third))
    assert [checkpoint.epoch for checkpoint in await store.list(RUN)] == [1, 1, 1, 5]


async def test_concurrent_writers_make_one_chain(folder: Path) -> None:
    stores = [ObjectCheckpointStore(folder.as_uri()) for _ in range(6)]
    first = make_checkpoint(RUN)
    await stores[0].append(first)
    rivals = [following(first, writer=number) for number in range(6)]
    outcomes = await asyncio.gather(
        *(store.append(rival) for store, rival in zip(stores, rivals, strict=True)), return_exceptions=True
    )
    assert outcomes.count(True) == 1
    assert list(await stores[0].list(RUN)) == [first, rivals[outcomes.index(True)]]


async def test_a_stale_writer_with_an_old_view_is_refused(store: ObjectCheckpointStore, folder: Path) -> None:
    chain = make_chain(RUN, 3)
    await append_chain(store, chain)
    other = ObjectCheckpointStore(folder.as_uri())
    await other.append(newer := following(chain[-1], epoch=2))
    await other.append(following(newer))
    with pytest.raises((StaleWriter, CheckpointConflict)):
        await store.append(following(chain[-1]))
    with pytest.raises(StaleWriter):
        await store.append(following(newer, sequence=9, epoch=1))
    assert await other.retire(RUN, 4) == 4
    with pytest.raises(StaleWriter):
        await store.append(following(chain[-1]))
    assert [checkpoint.sequence for checkpoint in await store.list(RUN)] == [5]


async def test_retiring_keeps_the_latest_and_the_chain_goes_on(store: ObjectCheckpointStore) -> None:
    chain = make_chain(RUN, 4)
    await append_chain(store, chain)
    assert await store.retire(RUN, 2) == 2
    assert list(await store.list(RUN)) == chain[2:]
    assert await store.retire(RUN, 99) == 1
    assert await store.append(after := following(chain[-1])) is True
    assert list(await store.list(RUN)) == [chain[-1], after]
    assert await store.retire("unknown", 5) == 0


DAMAGE: dict[str, Any] = {
    "torn": lambda content: content[: len(content) // 2],
    "empty": lambda _: b"",
    "no JSON": lambda _: b"\xff\xfe",
    "another value": lambda _: b"[7]",
    "no checkpoint": lambda _: b'{"a": 1}',
    "another run": lambda _: make_checkpoint("other").model_dump_json().encode(),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
async def test_a_damaged_latest_object_is_named_and_can_be_replaced(
    store: ObjectCheckpointStore, folder: Path, damage: Any
) -> None:
    chain = make_chain(RUN, 3)
    await append_chain(store, chain)
    path = folder / key_of(RUN, 3)
    path.write_bytes(damaged := damage(path.read_bytes()))
    reader = ObjectCheckpointStore(folder.as_uri())
    for ask in (reader.latest(RUN), reader.list(RUN), reader.append(following(chain[-1]))):
        with pytest.raises(DependencyUnavailable, match=r"run_checkpoints/000000000003.json is damaged; repair it"):
            await ask
    elements, _ = await reader.examine(RUN)
    kept = await reader.replace(RUN, chain, elements)
    assert kept is not None
    assert (folder / kept / "000000000003.json").read_bytes() == damaged
    assert list(await reader.list(RUN)) == chain
    assert await reader.examine(RUN) == ([checkpoint.model_dump(mode="json") for checkpoint in chain], None)
    assert list(await reader.workflow_ids()) == [RUN]


async def test_foreign_objects_are_passed_over_and_named_by_an_audit(
    store: ObjectCheckpointStore, folder: Path
) -> None:
    (folder / "run_checkpoints").mkdir(parents=True)
    (folder / "run_checkpoints" / "notes.txt").write_text("precious")
    (folder / "other_checkpoints").mkdir()
    (folder / "other_checkpoints" / "1.json").write_text("{}")
    assert list(await store.workflow_ids()) == []
    chain = make_chain(RUN, 2)
    await append_chain(store, chain)
    assert list(await store.list(RUN)) == chain
    assert list(await store.workflow_ids()) == [RUN]
    elements, damage = await store.examine(RUN)
    assert len(elements) == 2
    assert damage == "holds 1 object with no checkpoint: notes.txt"
    kept = await store.replace(RUN, chain, elements)
    assert kept is not None
    assert (folder / kept / "notes.txt").read_text() == "precious"
    assert (await store.examine(RUN))[1] is None


async def test_a_replacement_is_refused_after_another_write(store: ObjectCheckpointStore, folder: Path) -> None:
    chain = make_chain(RUN, 3)
    await append_chain(store, chain[:2])
    elements, _ = await store.examine(RUN)
    await ObjectCheckpointStore(folder.as_uri()).append(chain[2])
    with pytest.raises(CheckpointGap):
        await store.replace(RUN, chain[:2], elements)
    assert list(await store.list(RUN)) == chain


async def test_a_server_that_overwrites_is_not_used(
    store: ObjectCheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def overwrite(bucket: Bucket, key: str, content: bytes) -> str:
        await bucket.overwrite(key, content)
        return "tag"

    monkeypatch.setattr(Bucket, "_put_new", overwrite)
    with pytest.raises(DependencyUnavailable, match="ignores If-None-Match"):
        await store.append(make_checkpoint(RUN))
    assert await store.latest(RUN) is None


async def test_server_that_does_not_answer_is_an_unavailable_dependency(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "a-secret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    store = ObjectCheckpointStore("s3://papers/prefix")
    for ask in (store.latest(RUN), store.workflow_ids(), store.append(make_checkpoint(RUN)), store.examine(RUN)):
        with pytest.raises(DependencyUnavailable, match="s3://papers/prefix is unavailable") as away:
            await ask
        assert "a-secret" not in str(away.value)
        assert "\n" not in str(away.value)


async def test_folder_that_cannot_be_used_is_an_unavailable_dependency(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = ObjectCheckpointStore((tmp_path / "file" / "objects").as_uri())
    with pytest.raises(DependencyUnavailable):
        await store.append(make_checkpoint(RUN))


def test_the_variable_reaches_the_stores_and_the_processes_that_are_started(tmp_path: Path) -> None:
    environment = {
        "PERDURE_DATA_DIR": str(tmp_path),
        "DATABASE_URL": "postgresql://host/name",
        "TEMPORAL_ADDRESS": "host:7233",
        "PERDURE_CHECKPOINT_URL": "s3://papers/team/",
    }
    settings = read_settings(environment)
    assert settings.environment()["PERDURE_CHECKPOINT_URL"] == "s3://papers/team"
    assert [store.name for store in open_stores(settings).checkpoints] == ["Postgres", "files", "bucket"]
    with pytest.raises(InvalidConfiguration, match="PERDURE_CHECKPOINT_URL"):
        read_settings({**environment, "PERDURE_CHECKPOINT_URL": "papers"})
    without = read_settings({**environment, "PERDURE_CHECKPOINT_URL": ""})
    assert [store.name for store in open_stores(without).followers] == ["files"]


async def test_the_end_of_a_long_chain_takes_one_short_listing(
    store: ObjectCheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = make_chain(RUN, 30)
    await append_chain(store, chain)
    assert await store.latest(RUN) == chain[-1]
    listed: list[int] = []
    list_objects = Bucket.list_objects

    async def counted(bucket: Bucket, folder: str, after: str | None = None) -> list[Any]:
        items = await list_objects(bucket, folder, after)
        listed.append(len(items))
        return items

    monkeypatch.setattr(Bucket, "list_objects", counted)
    assert await store.append(after := following(chain[-1])) is True
    assert await store.latest(RUN) == after
    assert await store.append(following(after)) is True
    assert max(listed) <= 2
    assert len(listed) == 3
