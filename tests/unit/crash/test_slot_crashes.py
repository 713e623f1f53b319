"""Worker slots: the death of a worker at any moment loses no identity that is not reclaimed."""

import fcntl
import shutil
import time
from pathlib import Path

import pytest

from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from orchestration.worker import slot as slots
from orchestration.worker.announced_settings import announce_settings, differences_from_living_worker
from orchestration.worker.slot import WorkerSlot, dead_lives, take_slot
from tests.unit.crash.recorder import Recorder, record

SLOT_FILE = Path("workers", "worker-1.lock")


def die(slot: WorkerSlot) -> None:
    """Release the lock as the kernel does for a killed process; the file keeps the life's line."""
    slot._lock.close()


def read_lines(folder: Path) -> list[str]:
    """Return the identities in the slot's file, as a worker reads them."""
    path = folder / SLOT_FILE
    return (
        [line.split()[1] for line in path.read_text().splitlines() if len(line.split()) == 3] if path.exists() else []
    )


def live_and_die(folder: Path, times: int) -> list[str]:
    """Let workers die in the slot without a reclaim; return their identities."""
    identities = []
    for _ in range(times):
        slot = take_slot(folder)
        identities.append(slot.identity)
        die(slot)
    return identities


def assert_no_life_is_lost(recorder: Recorder, after: Path) -> None:
    """Check that after each kill the file holds every identity that was not reclaimed before."""
    moments = 0
    for crash in recorder.kill_process(after):
        assert set(crash.expected[-1]) & set(crash.expected[0]) <= set(read_lines(crash.folder)), crash.operations
        moments += 1
    assert moments > 1


def assert_taking_a_slot_keeps(folder: Path, earlier: list[str], after: Path) -> None:
    """Assert that no SIGKILL while a slot is taken loses one of the earlier lives."""
    with record(folder, earlier) as recorder:
        slot = take_slot(folder)
        recorder.acknowledge([*earlier, slot.identity])
    assert list(slot.dead) == earlier
    assert_no_life_is_lost(recorder, after)
    die(slot)


@pytest.mark.parametrize("dead", [0, 1, 3])
def test_kill_while_a_slot_is_taken_keeps_earlier_lives(tmp_path: Path, dead: int) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    earlier = live_and_die(folder, dead)
    assert_taking_a_slot_keeps(folder, earlier, tmp_path / "after")


def test_kill_while_foreign_lines_are_dropped_keeps_earlier_lives(tmp_path: Path) -> None:
    """A reboot or a restored copy leaves lines that prove no death, before lines that prove one."""
    folder = tmp_path / "folder"
    folder.mkdir()
    earlier = live_and_die(folder, 2)
    path = folder / SLOT_FILE
    path.write_text("4194304 perdure-1@other/0123456789ab another-boot/1:2\n" + path.read_text())
    assert_taking_a_slot_keeps(folder, earlier, tmp_path / "after")


def test_kill_while_dead_lives_are_forgotten_keeps_the_living_one(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    live_and_die(folder, 2)
    slot = take_slot(folder)
    with record(folder, [slot.identity]) as recorder:
        slot.forget_dead()
        recorder.acknowledge([slot.identity])
    assert_no_life_is_lost(recorder, tmp_path / "after")
    die(slot)


def test_kill_while_a_slot_is_released_keeps_unreclaimed_lives(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    earlier = live_and_die(folder, 2)
    slot = take_slot(folder)
    with record(folder, [*earlier, slot.identity]) as recorder:
        slot.release()
        recorder.acknowledge(earlier)
    assert_no_life_is_lost(recorder, tmp_path / "after")


def test_dead_lives_stay_in_the_file_until_their_reclaim_ends(tmp_path: Path) -> None:
    earlier = live_and_die(tmp_path, 2)
    with dead_lives(tmp_path) as dead:
        assert dead == earlier
        assert read_lines(tmp_path) == earlier, "a kill at this moment would lose them"
    assert read_lines(tmp_path) == []


def test_power_loss_leaves_a_slot_that_can_be_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power loss, the machine has another boot id, so no line proves a death."""
    folder = tmp_path / "folder"
    folder.mkdir()
    with record(folder, None) as recorder:
        live_and_die(folder, 1)
        slot = take_slot(folder)
        slot.forget_dead()
        slot.release()
        with dead_lives(folder):
            pass
    monkeypatch.setattr(slots, "_BOOT", "the-next-boot")
    for crash in recorder.lose_power(tmp_path / "after"):
        with dead_lives(crash.folder) as dead:
            assert dead == [], crash.operations
        taken = take_slot(crash.folder)
        assert (taken.number, taken.dead) == (1, ()), crash.operations
        die(taken)
        with dead_lives(crash.folder) as dead:
            assert dead == [taken.identity], crash.operations


def test_power_loss_leaves_no_settings_that_stop_a_command(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    settings = Settings(folder, "postgresql://host/name", TemporalSettings("host:7233"))
    slot = take_slot(folder)
    with record(folder, None) as recorder:
        announce_settings(settings, slot.lock_file)
    die(slot)
    for crash in recorder.lose_power(tmp_path / "after"):
        alive = take_slot(crash.folder)  # by the process that the settings name, so that they are read
        sentences = differences_from_living_worker(Settings(crash.folder, settings.database_url, settings.temporal))
        assert sentences == [], crash.operations
        die(alive)


def test_two_workers_hold_different_slots(tmp_path: Path) -> None:
    slots_taken = [take_slot(tmp_path) for _ in range(3)]
    assert [slot.number for slot in slots_taken] == [1, 2, 3]
    for slot in slots_taken:
        slot.release()


def test_worker_waits_for_a_look_at_its_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that looks for live workers locks each slot's file for an instant."""
    take_slot(tmp_path).release()
    look = (tmp_path / SLOT_FILE).open("rb")
    fcntl.flock(look, fcntl.LOCK_SH)
    # The look ends while the worker waits for its next try.
    monkeypatch.setattr(time, "sleep", lambda _: look.close())
    slot = take_slot(tmp_path)
    assert slot.number == 1
    slot.release()


def test_failed_reclaim_leaves_its_slots_free(tmp_path: Path) -> None:
    (dead,) = live_and_die(tmp_path, 1)
    with pytest.raises(RuntimeError) as raised, dead_lives(tmp_path):
        raise RuntimeError
    slot = take_slot(tmp_path)
    assert (slot.number, slot.dead) == (1, (dead,))
    assert raised.tb, "the traceback keeps every variable of the look until here, as the log of an error does"
    slot.release()


def test_torn_line_stops_no_worker(tmp_path: Path) -> None:
    (dead,) = live_and_die(tmp_path, 1)
    path = tmp_path / SLOT_FILE
    with path.open("a") as file:
        file.write("4242\nperdure-1@host/0123\n\0\0\0\0 x")
    with dead_lives(tmp_path) as identities:
        assert identities == [dead]
        assert read_lines(tmp_path) == [dead]
    slot = take_slot(tmp_path)
    assert (slot.number, slot.dead) == (1, ())
    slot.release()


def test_worker_of_a_copied_folder_inherits_no_dead_life(tmp_path: Path) -> None:
    """The worker of the original may be alive; a copy is a restored backup or a clone."""
    original = tmp_path / "original"
    living = take_slot(original)
    shutil.copytree(original, tmp_path / "copy")
    slot = take_slot(tmp_path / "copy")
    assert slot.dead == ()
    for held in (slot, living):
        held.release()


def test_lives_of_an_earlier_boot_are_not_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same file after a reboot: the server's timeouts cover the activities of its workers."""
    live_and_die(tmp_path, 1)
    monkeypatch.setattr(slots, "_BOOT", "the-next-boot")
    slot = take_slot(tmp_path)
    assert slot.dead == ()
    die(slot)
    with dead_lives(tmp_path) as identities:
        assert identities == [slot.identity]
