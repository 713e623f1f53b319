"""`PersistentCheckpointStore`: no crash loses an acknowledged checkpoint or breaks a chain."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from perdure.checkpoint import WorkflowCheckpoint
from perdure.stores.files import array_file
from perdure.stores.files.json_file import PersistentCheckpointStore
from tests.conformance.chains import assert_whole, following, make_chain
from tests.unit.crash.recorder import Crash, record

RUN = "run"


@pytest.fixture(autouse=True)
def _leases_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grant leases without the kernel.

    The recorder is the only reader, and a lease would stop the recorder while the file is written.
    """
    monkeypatch.setattr(array_file, "write_lease", lambda _: True)


async def check_chain(crash: Crash, folder: str) -> None:
    """Check that a crash left an acknowledged chain, to which the rest can be appended."""
    store = PersistentCheckpointStore(crash.folder / folder)
    chain = list(await store.list(RUN))
    assert chain in crash.expected, crash.operations
    assert await store.latest(RUN) == (chain[-1] if chain else None)
    for _ in range(2):
        chain += [following(chain[-1])] if chain else make_chain(RUN, 1)
        assert await store.append(chain[-1]) is True
    assert list(await store.list(RUN)) == chain
    assert_whole(chain)


def test_power_loss_keeps_every_acknowledged_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    store = PersistentCheckpointStore(folder / "data" / "checkpoints")  # neither folder exists
    chain = make_chain(RUN, 4)
    with record(folder, []) as recorder:

        async def append_and_retire() -> None:
            for number, checkpoint in enumerate(chain):
                await store.append(checkpoint)
                recorder.acknowledge(chain[: number + 1])
            await store.retire(RUN, 2)
            recorder.acknowledge(chain[2:])

        asyncio.run(append_and_retire())
    monkeypatch.setattr(os, "fsync", lambda _: None)  # the checks write to folders that are thrown away

    async def check_all() -> None:
        for crash in recorder.lose_power(tmp_path / "after"):
            await check_chain(crash, "data/checkpoints")

    asyncio.run(check_all())


def test_power_loss_keeps_a_folder_that_another_process_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that starts the servers creates the data folder, and syncs no name."""
    folder = tmp_path / "folder"
    folder.mkdir()
    chain = make_chain(RUN, 1)
    with record(folder, []) as recorder:
        (folder / "data" / "checkpoints").mkdir(parents=True)
        asyncio.run(append(PersistentCheckpointStore(folder / "data" / "checkpoints"), chain[0]))
        recorder.acknowledge(chain)
    monkeypatch.setattr(os, "fsync", lambda _: None)  # as above
    for crash in recorder.lose_power(tmp_path / "after"):
        asyncio.run(check_chain(crash, "data/checkpoints"))


async def append(store: PersistentCheckpointStore, checkpoint: WorkflowCheckpoint) -> None:
    """Append one checkpoint, as the first call of a process."""
    assert await store.append(checkpoint) is True


def find_kept(folder: Path) -> Sequence[bytes]:
    """Return the content of the copies of damaged files."""
    return [path.read_bytes() for path in folder.glob("*.damaged-*")]


def test_power_loss_in_a_rebuild_never_loses_the_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    store = PersistentCheckpointStore(folder)
    good = make_chain(RUN, 3)
    damaged = [good[0], good[1].model_copy(update={"processed_documents": 99}), good[2]]

    async def store_damaged() -> None:
        for checkpoint in good:
            await store.append(checkpoint)
        path = store.path_of(RUN)
        path.write_bytes(path.read_bytes().replace(b'"processed_documents":2', b'"processed_documents":99'))

    asyncio.run(store_damaged())
    before = store.path_of(RUN).read_bytes()

    async def rebuild() -> None:
        elements, _ = await store.examine(RUN)
        await store.replace(RUN, good, elements)

    with record(folder, damaged) as recorder:
        asyncio.run(rebuild())
        recorder.acknowledge(good)
    monkeypatch.setattr(os, "fsync", lambda _: None)  # as above
    for crash in recorder.lose_power(tmp_path / "after"):
        content = (crash.folder / store.path_of(RUN).name).read_bytes()
        assert before in [content, *find_kept(crash.folder)], crash.operations
        if content != before:
            asyncio.run(check_chain(crash, "."))


def test_power_loss_in_a_repair_never_loses_the_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    store = PersistentCheckpointStore(folder)
    chain = make_chain(RUN, 4)
    asyncio.run(store.restore(chain[:3]))
    path = store.path_of(RUN)
    torn = path.read_bytes()[:-30]
    path.write_bytes(torn)
    with record(folder, chain[:2]) as recorder:
        asyncio.run(store.append(chain[2]))
        recorder.acknowledge(chain[:3])
    monkeypatch.setattr(os, "fsync", lambda _: None)  # as above
    for crash in recorder.lose_power(tmp_path / "after"):
        assert torn in [(crash.folder / path.name).read_bytes(), *find_kept(crash.folder)], crash.operations
        asyncio.run(check_chain(crash, "."))
