"""A power loss loses no acknowledged checkpoint of an object folder, and tears no object."""

import asyncio
import os
from pathlib import Path

import pytest

from perdure.stores.objects.keys import key_of
from perdure.stores.objects.store import ObjectCheckpointStore
from tests.conformance.chains import make_chain
from tests.unit.crash.recorder import record

RUN = "run"


def test_power_loss_keeps_every_acknowledged_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    chain = make_chain(RUN, 3)
    with record(folder, 0) as recorder:

        async def append_all() -> None:
            store = ObjectCheckpointStore((folder / "data" / "objects").as_uri())
            for number, checkpoint in enumerate(chain, 1):
                await store.append(checkpoint)
                recorder.acknowledge(number)

        asyncio.run(append_all())
    monkeypatch.setattr(os, "fsync", lambda _: None)  # the checks write to folders that are thrown away

    async def check_all() -> None:
        for crash in recorder.lose_power(tmp_path / "after"):
            store = ObjectCheckpointStore((crash.folder / "data" / "objects").as_uri())
            found = list(await store.list(RUN))
            assert found in [chain[:number] for number in crash.expected], crash.operations
            for checkpoint in chain:  # a later attempt goes on without a user's repair
                assert await store.append(checkpoint) is (checkpoint not in found), crash.operations
            assert await store.examine(RUN) == ([checkpoint.model_dump(mode="json") for checkpoint in chain], None)

    asyncio.run(check_all())


def test_power_loss_after_a_rebuild_keeps_the_new_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    chain = make_chain(RUN, 3)

    async def store_damaged() -> None:
        await ObjectCheckpointStore(folder.as_uri()).restore(chain)
        (folder / key_of(RUN, 2)).write_bytes(b'{"torn":')

    async def rebuild() -> None:
        store = ObjectCheckpointStore(folder.as_uri())
        elements, _ = await store.examine(RUN)
        await store.replace(RUN, chain, elements)

    asyncio.run(store_damaged())
    with record(folder, "damaged") as recorder:
        asyncio.run(rebuild())
        recorder.acknowledge("rebuilt")
    monkeypatch.setattr(os, "fsync", lambda _: None)  # as above

    async def check_all() -> None:
        for crash in recorder.lose_power(tmp_path / "after"):
            if crash.expected[0] == "rebuilt":
                store = ObjectCheckpointStore(crash.folder.as_uri())
                assert list(await store.list(RUN)) == chain, crash.operations
                kept = [path.read_bytes() for path in crash.folder.glob("*.damaged-*/*")]
                assert b'{"torn":' in kept, crash.operations

    asyncio.run(check_all())
