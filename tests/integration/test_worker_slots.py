"""Worker slots: only the lock of a slot proves the life or the death of a worker."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from orchestration.worker.announced_settings import announce_settings, differences_from_living_worker
from orchestration.worker.kill import kill_worker
from orchestration.worker.slot import dead_lives, live_workers, take_slot
from perdure.errors import RefusedCommand

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import sys, time
from pathlib import Path
from orchestration.worker.slot import take_slot
slot = take_slot(Path(sys.argv[1]))
print(slot.identity, flush=True)
time.sleep(600)
"""


class Holder:
    """A process that holds a slot."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        self.identity = self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def holders(folder: Path, count: int) -> Iterator[list[Holder]]:
    started = [Holder(folder) for _ in range(count)]
    try:
        yield started
    finally:
        for holder in started:
            holder.kill()
            if holder.process.stdout:
                holder.process.stdout.close()


def list_dead(folder: Path) -> list[str]:
    with dead_lives(folder) as identities:
        return list(identities)


def make_settings(folder: Path) -> Settings:
    return Settings(
        data_dir=folder,
        database_url="postgresql://perdure:secret@db.example:5432/perdure",
        temporal=TemporalSettings("temporal.example:7233", api_key="api-secret"),
        pool_workers=2,
        external_services={"search": "http://user:service-secret@search.example/health"},
    )


def test_each_taken_slot_has_a_new_identity(tmp_path: Path) -> None:
    identities = set()
    for _ in range(3):
        slot = take_slot(tmp_path)
        assert slot.number == 1
        identities.add(slot.identity)
        slot.release()
    assert len(identities) == 3


def test_dead_worker_is_reported_once(tmp_path: Path) -> None:
    with holders(tmp_path, 2) as (first, second):
        assert list_dead(tmp_path) == []
        first.kill()
        assert list_dead(tmp_path) == [first.identity]
        assert list_dead(tmp_path) == [], "the first report removes the dead worker from the file"
        assert live_workers(tmp_path) == {2: second.process.pid}


def test_new_holder_of_slot_learns_its_dead_identities(tmp_path: Path) -> None:
    with holders(tmp_path, 1) as (first,):
        first.kill()
        with holders(tmp_path, 1) as (second,):
            second.kill()
            slot = take_slot(tmp_path)
            assert slot.dead == (first.identity, second.identity), "both workers are still to be reclaimed"
            slot.forget_dead()
            assert live_workers(tmp_path) == {1: os.getpid()}
            slot.release()
    assert list_dead(tmp_path) == []


def test_failed_reclaim_keeps_dead_identities_for_the_next_search(tmp_path: Path) -> None:
    with holders(tmp_path, 1) as (holder,):
        holder.kill()
        with pytest.raises(RuntimeError), dead_lives(tmp_path):
            raise RuntimeError
        assert list_dead(tmp_path) == [holder.identity]


def test_stopped_worker_counts_as_alive(tmp_path: Path) -> None:
    with holders(tmp_path, 1) as (holder,):
        os.kill(holder.process.pid, signal.SIGSTOP)
        assert list_dead(tmp_path) == []
        slot = take_slot(tmp_path)
        assert (slot.number, slot.dead) == (2, ())
        slot.release()


def test_released_slot_leaves_no_dead_identity(tmp_path: Path) -> None:
    take_slot(tmp_path).release()
    assert list_dead(tmp_path) == []


def test_copied_data_folder_reports_no_dead_worker(tmp_path: Path) -> None:
    """A copy is a backup restored beside a living worker, or a clone of the machine."""
    with holders(tmp_path / "original", 1):
        shutil.copytree(tmp_path / "original", tmp_path / "copy")
        assert list_dead(tmp_path / "copy") == []
        slot = take_slot(tmp_path / "copy")
        assert slot.dead == ()
        slot.release()


def test_lines_of_earlier_boot_report_no_dead_worker(tmp_path: Path) -> None:
    with holders(tmp_path, 1) as (holder,):
        holder.kill()
    lock = tmp_path / "workers" / "worker-1.lock"
    pid, identity, place = lock.read_text().split()
    before = place.partition("/")[2]
    with lock.open("r+") as file:  # in place: the file is the same after a reboot
        file.write(f"{pid} {identity} another-boot/{before}\n")
        file.truncate()
    assert list_dead(tmp_path) == []


def test_kill_worker_kills_holder_of_lowest_slot(tmp_path: Path) -> None:
    with holders(tmp_path, 2) as (first, second):
        assert kill_worker(tmp_path) == first.process.pid
        assert first.process.wait() == -signal.SIGKILL
        assert second.process.poll() is None
        assert list_dead(tmp_path) == [first.identity]


def test_kill_worker_refuses_without_living_worker(tmp_path: Path) -> None:
    with holders(tmp_path, 1) as (holder,):
        holder.kill()
        with pytest.raises(RefusedCommand, match=r"No worker of the data folder .* is alive"):
            kill_worker(tmp_path)


def test_kill_worker_spares_process_with_reused_id(tmp_path: Path) -> None:
    """The slot is locked, but its file names a process that does not have the file open."""
    with holders(tmp_path, 1) as (holder,), subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as bystander:
        lock = tmp_path / "workers" / "worker-1.lock"
        lock.write_text(lock.read_text().replace(str(holder.process.pid), str(bystander.pid), 1))
        with pytest.raises(RefusedCommand, match="no processes of this machine"):
            kill_worker(tmp_path)
        assert (holder.process.poll(), bystander.poll()) == (None, None)
        bystander.communicate(b"\n")


def test_settings_equal_to_living_worker_give_no_sentence(tmp_path: Path) -> None:
    slot = take_slot(tmp_path)
    announce_settings(make_settings(tmp_path), slot.lock_file)
    assert differences_from_living_worker(make_settings(tmp_path)) == []
    slot.release()


def test_each_setting_unlike_living_worker_is_named(tmp_path: Path) -> None:
    slot = take_slot(tmp_path)
    announce_settings(make_settings(tmp_path), slot.lock_file)
    changed = replace(
        make_settings(tmp_path), pool_workers=3, database_url="postgresql://other@db/other", external_services={}
    )
    sentences = differences_from_living_worker(changed)
    assert [sentence.split()[0] for sentence in sentences] == [
        "DATABASE_URL",
        "PERDURE_POOL_WORKERS",
        "PERDURE_SERVICES",
    ]
    assert sentences[1].startswith(f"PERDURE_POOL_WORKERS is 2 for the worker {os.getpid()}, which is alive, and 3 ")
    slot.release()
    assert differences_from_living_worker(changed) == [], "no worker is alive any more"


def test_announced_settings_hold_no_secret(tmp_path: Path) -> None:
    slot = take_slot(tmp_path)
    announce_settings(make_settings(tmp_path), slot.lock_file)
    file = slot.lock_file.with_suffix(".settings.json")
    assert "secret" not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    slot.release()


def test_settings_of_earlier_worker_are_not_compared(tmp_path: Path) -> None:
    with holders(tmp_path, 1) as (holder,):
        announce_settings(replace(make_settings(tmp_path), pool_workers=9), tmp_path / "workers" / "worker-1.lock")
        assert live_workers(tmp_path) == {1: holder.process.pid}
        assert differences_from_living_worker(make_settings(tmp_path)) == []
