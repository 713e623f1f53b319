"""`ObjectCheckpointStore` over a folder: a power loss loses no acknowledged checkpoint."""

import asyncio
import os
from pathlib import Path

import pytest

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
            for checkpoint in chain[: crash.expected[0]]:
                assert await store.get(RUN, checkpoint.checkpoint_id) == checkpoint, crash.operations

    asyncio.run(check_all())
