"""`ObjectCheckpointStore`: other processes write and delete, and the process dies in a call."""

import asyncio
import errno
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import obstore
import pytest

from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import CheckpointGap, DependencyUnavailable
from perdure.stores.objects import store as object_store
from perdure.stores.objects.bucket import Bucket, Listed
from perdure.stores.objects.durable_files import create_file
from perdure.stores.objects.keys import key_of
from perdure.stores.objects.store import ObjectCheckpointStore
from tests.conformance.chains import following, make_chain

RUN = "run"


class KilledError(BaseException):
    """Stands for SIGKILL: no code of the store runs after it."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of the objects."""
    return tmp_path / "objects"


@pytest.fixture
async def chain(folder: Path) -> list[WorkflowCheckpoint]:
    """Return five stored checkpoints."""
    chain = make_chain(RUN, 5)
    await ObjectCheckpointStore(folder.as_uri()).restore(chain)
    return chain


def die_in(patch: pytest.MonkeyPatch, name: str, calls: int) -> None:
    """Let `Bucket.name` succeed this many times, and kill the process in the next call."""
    method: Callable[..., Awaitable[Any]] = getattr(Bucket, name)
    left = [calls]

    async def call(*arguments: Any) -> Any:
        if not left[0]:
            raise KilledError
        left[0] -= 1
        return await method(*arguments)

    patch.setattr(Bucket, name, call)


@pytest.mark.parametrize("deleted", range(4))
async def test_kill_while_retiring_leaves_a_chain_without_gap(
    folder: Path, chain: list[WorkflowCheckpoint], monkeypatch: pytest.MonkeyPatch, deleted: int
) -> None:
    with monkeypatch.context() as patch:
        die_in(patch, "delete", deleted)
        with pytest.raises(KilledError):
            await ObjectCheckpointStore(folder.as_uri()).retire(RUN, 99)
    assert list(await ObjectCheckpointStore(folder.as_uri()).list(RUN)) == chain[deleted:]


async def test_listing_that_lacks_an_object_is_repeated(
    folder: Path, chain: list[WorkflowCheckpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing has no order, so it may lack a middle object while other objects are created."""
    list_objects = Bucket.list_objects
    hidden = [key_of(RUN, 3)]

    async def list_some(bucket: Bucket, prefix: str, after: str | None = None) -> list[Listed]:
        items = await list_objects(bucket, prefix, after)
        missed = hidden.pop() if hidden else None
        return [item for item in items if item.key != missed]

    monkeypatch.setattr(Bucket, "list_objects", list_some)
    assert list(await ObjectCheckpointStore(folder.as_uri()).list(RUN)) == chain
    assert hidden == []


async def test_object_that_is_pruned_after_the_listing_is_left_out(
    folder: Path, chain: list[WorkflowCheckpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    list_objects = Bucket.list_objects
    listings: list[int] = []

    async def list_then_prune(bucket: Bucket, prefix: str, after: str | None = None) -> list[Listed]:
        items = await list_objects(bucket, prefix, after)
        listings.append(len(items))
        if len(listings) == 1:
            await bucket.delete(items[0].key)
            await bucket.delete(items[1].key)
            await bucket.put_new(key_of(RUN, 6), following(chain[-1]).model_dump_json().encode())
        return items

    monkeypatch.setattr(Bucket, "list_objects", list_then_prune)
    found = list(await ObjectCheckpointStore(folder.as_uri()).list(RUN))
    assert found == [*chain[2:], following(chain[-1])], "the state after the prune, not a mixture of two states"


async def test_changed_object_is_read_again(folder: Path, chain: list[WorkflowCheckpoint]) -> None:
    """A rebuild of another process may have replaced the object that the store read last."""
    store = ObjectCheckpointStore(folder.as_uri())
    assert await store.latest(RUN) == chain[-1]
    changed = following(chain[-2], writer="a rebuild")
    path = folder / key_of(RUN, 5)
    path.unlink()
    path.write_text(json.dumps(changed.model_dump(mode="json")))
    assert await store.latest(RUN) == changed
    assert await store.append(following(changed)) is True


async def test_requests_at_once_are_bounded(
    folder: Path, chain: list[WorkflowCheckpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "REQUESTS_AT_ONCE", 2)
    get = Bucket.get
    under_way: list[str] = []
    most: list[int] = []

    async def count(bucket: Bucket, key: str) -> tuple[bytes, str] | None:
        under_way.append(key)
        most.append(len(under_way))
        await asyncio.sleep(0)
        answer = await get(bucket, key)
        under_way.remove(key)
        return answer

    monkeypatch.setattr(Bucket, "get", count)
    assert list(await ObjectCheckpointStore(folder.as_uri()).list(RUN)) == chain
    assert max(most) == 2


async def test_replacement_that_another_writer_overtakes_is_refused(
    folder: Path, chain: list[WorkflowCheckpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ObjectCheckpointStore(folder.as_uri())
    elements, _ = await store.examine(RUN)
    rival = following(chain[-1], writer="another")
    put_new = Bucket.put_new

    async def overtaken(bucket: Bucket, key: str, content: bytes) -> str | None:
        monkeypatch.setattr(Bucket, "put_new", put_new)
        await ObjectCheckpointStore(folder.as_uri()).append(rival)
        return await put_new(bucket, key, content)

    monkeypatch.setattr(Bucket, "put_new", overtaken)
    with pytest.raises(CheckpointGap):
        await store.replace(RUN, [*chain, following(chain[-1])], elements)
    assert list(await ObjectCheckpointStore(folder.as_uri()).list(RUN)) == [*chain, rival]


@pytest.mark.parametrize(("method", "calls"), [("copy", 0), ("copy", 1), ("overwrite", 0), ("delete", 0)])
async def test_kill_while_replacing_loses_no_damaged_object(
    folder: Path, chain: list[WorkflowCheckpoint], monkeypatch: pytest.MonkeyPatch, method: str, calls: int
) -> None:
    damaged = folder / key_of(RUN, 2)
    damaged.write_bytes(b'{"torn":')
    foreign = folder / "run_checkpoints" / "notes.txt"
    foreign.write_bytes(b"precious")
    store = ObjectCheckpointStore(folder.as_uri())
    elements, _ = await store.examine(RUN)
    with monkeypatch.context() as patch:
        die_in(patch, method, calls)
        with pytest.raises(KilledError):
            await store.replace(RUN, chain, elements)
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert b'{"torn":' in contents
    assert b"precious" in contents
    elements, _ = await store.examine(RUN)
    await store.replace(RUN, chain, elements)
    assert list(await ObjectCheckpointStore(folder.as_uri()).list(RUN)) == chain


async def test_checkpoint_behind_a_gap_is_refused(folder: Path, chain: list[WorkflowCheckpoint]) -> None:
    """The listing from its sequence on is empty, as it is for an empty store."""
    ahead = following(following(chain[-1]))
    with pytest.raises(CheckpointGap):
        await ObjectCheckpointStore(folder.as_uri()).append(following(ahead))
    assert list(await ObjectCheckpointStore(folder.as_uri()).list(RUN)) == chain


async def test_latest_is_found_in_any_order_of_the_listing(
    folder: Path, chain: list[WorkflowCheckpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    list_pages = obstore.list

    async def list_backwards(*arguments: Any, **options: Any) -> AsyncIterator[list[Any]]:
        pages = [page async for page in list_pages(*arguments, **options)]
        yield sorted((item for page in pages for item in page), key=lambda item: str(item["path"]), reverse=True)

    monkeypatch.setattr(obstore, "list", list_backwards)
    store = ObjectCheckpointStore(folder.as_uri())
    assert await store.latest(RUN) == chain[-1]
    assert list(await store.list(RUN)) == chain


async def test_kill_while_an_object_is_written_leaves_no_foreign_object(
    folder: Path, chain: list[WorkflowCheckpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_: int) -> None:
        raise KilledError

    after = following(chain[-1])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", die)
        with pytest.raises(KilledError):
            await asyncio.to_thread(create_file, folder / key_of(RUN, 6), after.model_dump_json().encode(), folder)
    store = ObjectCheckpointStore(folder.as_uri())
    assert len(list((folder / "run_checkpoints").iterdir())) == 6, "the process left an unfinished file"
    assert list(await store.list(RUN)) == chain
    assert (await store.examine(RUN))[1] is None
    assert await store.append(after) is True


async def test_failed_write_gives_its_space_back(
    folder: Path, chain: list[WorkflowCheckpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = ObjectCheckpointStore(folder.as_uri())
    await store.append(after := following(chain[-1]))
    files = sorted(path.name for path in folder.rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(DependencyUnavailable, match="No space left on device"):
            await store.append(following(after))
    assert sorted(path.name for path in folder.rglob("*")) == files
    assert await store.append(following(after)) is True
