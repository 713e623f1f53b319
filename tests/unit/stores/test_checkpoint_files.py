"""`PersistentCheckpointStore`: retirement, and locks between processes that write one file."""

import errno
import os
from pathlib import Path

import pytest

from perdure.errors import CheckpointConflict, CheckpointGap, DependencyUnavailable
from perdure.stores.files import file_lock
from perdure.stores.files.array_file import ArrayFile
from perdure.stores.files.json_file import PersistentCheckpointStore
from tests.conformance.chains import following, make_chain

RUN = "run"


@pytest.fixture
def store(tmp_path: Path) -> PersistentCheckpointStore:
    """Return a store over an empty folder."""
    return PersistentCheckpointStore(tmp_path / "checkpoints")


async def test_retirement_beyond_a_lagging_file_keeps_its_latest(store: PersistentCheckpointStore) -> None:
    """The file ends before the retired sequence, and the run needs the file's latest checkpoint."""
    chain = make_chain(RUN, 3)
    await store.restore(chain)
    assert await store.retire(RUN, 99) == 2
    assert list(await store.list(RUN)) == chain[-1:]
    assert await store.retire(RUN, 99) == 0
    assert await store.append(following(chain[-1])) is True


async def test_retirement_ends_at_its_sequence(store: PersistentCheckpointStore) -> None:
    chain = make_chain(RUN, 5)
    await store.restore(chain)
    assert await store.retire(RUN, 2) == 2
    assert await store.retire(RUN, 2) == 0
    assert list(await store.list(RUN)) == chain[2:]
    assert await store.retire("unknown", 5) == 0


async def test_retirement_waits_for_another_writer(
    store: PersistentCheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_lock, "LOCK_SECONDS", 0.05)
    chain = make_chain(RUN, 3)
    await store.restore(chain)
    with ArrayFile(store.path_of(RUN)).locked(), pytest.raises(DependencyUnavailable, match="another process has held"):
        await store.retire(RUN, 2)
    assert list(await store.list(RUN)) == chain


async def test_append_checks_the_file_that_it_locked(
    store: PersistentCheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process appends between the call and the lock."""
    first, second = make_chain(RUN, 2)
    await store.append(first)
    locked = ArrayFile.locked

    def overtaken(array: ArrayFile) -> object:
        monkeypatch.setattr(ArrayFile, "locked", locked)
        with array.locked():
            array.append(second.model_dump(mode="json"))
        return array.locked()

    monkeypatch.setattr(ArrayFile, "locked", overtaken)
    with pytest.raises((CheckpointConflict, CheckpointGap)):
        await store.append(following(first, writer="another"))
    assert list(await store.list(RUN)) == [first, second]


async def test_replacement_of_a_changed_file_is_refused(store: PersistentCheckpointStore) -> None:
    chain = make_chain(RUN, 3)
    await store.restore(chain[:2])
    elements, _ = await store.examine(RUN)
    await store.append(chain[2])
    with pytest.raises(CheckpointGap):
        await store.replace(RUN, chain[:2], elements)
    assert list(await store.list(RUN)) == chain


async def test_file_is_made_anew_after_its_folder_was_deleted(store: PersistentCheckpointStore, tmp_path: Path) -> None:
    chain = make_chain(RUN, 1)
    await store.append(chain[0])
    (tmp_path / "checkpoints").rename(tmp_path / "moved")
    assert await store.append(chain[0]) is True
    assert list(await store.list(RUN)) == chain


async def test_latest_reads_a_bounded_part_of_the_file(store: PersistentCheckpointStore) -> None:
    chain = make_chain(RUN, 3, padding="x" * 3_000)
    await store.restore(chain)

    def count_read_bytes() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    costs = []
    for _ in range(2):
        before = count_read_bytes()
        latest = await store.latest(RUN)
        assert latest is not None
        costs.append(count_read_bytes() - before)
        for _ in range(30):
            latest = following(latest, padding="x" * 3_000)
            await store.append(latest)
    assert costs[1] < costs[0] + 64 * 1024, "the file has grown by 100 kB between the two"


async def test_file_with_a_damaged_last_element_belongs_to_its_run(store: PersistentCheckpointStore) -> None:
    await store.restore(make_chain(RUN, 2))
    path = store.path_of(RUN)
    path.write_bytes(path.read_bytes().removesuffix(b"\n]\n") + b',\n{"workflow_id":"another"}\n]\n')
    assert store.path_of(RUN) == path
    elements, _ = await store.examine(RUN)
    assert len(elements) == 3


async def test_disk_that_refuses_is_waited_for(
    store: PersistentCheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    chain = make_chain(RUN, 2)
    await store.append(chain[0])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(DependencyUnavailable, match="No space left on device"):
            await store.append(chain[1])
    assert await store.append(chain[1]) is True
