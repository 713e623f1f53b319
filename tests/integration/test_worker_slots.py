"""A slot's lock is the proof of life and death: nobody alive, stopped or elsewhere is ever taken for dead."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestration.worker.slot import dead_lives, live_workers, take_slot

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
        for one in started:
            one.kill()
            if one.process.stdout:
                one.process.stdout.close()


def dead(folder: Path) -> list[str]:
    with dead_lives(folder) as found:
        return list(found)


def test_each_life_has_an_identity_of_its_own(tmp_path: Path) -> None:
    seen = set()
    for _ in range(3):
        slot = take_slot(tmp_path)
        assert slot.number == 1
        seen.add(slot.identity)
        slot.release()
    assert len(seen) == 3


def test_a_killed_worker_is_known_by_its_identity_once(tmp_path: Path) -> None:
    with holders(tmp_path, 2) as (one, other):
        assert dead(tmp_path) == []
        one.kill()
        assert dead(tmp_path) == [one.identity]
        assert dead(tmp_path) == [], "cleared up after"
        assert live_workers(tmp_path) == {2: other.process.pid}


def test_who_takes_the_slot_of_a_dead_worker_learns_whom_to_clear_up_after(tmp_path: Path) -> None:
    with holders(tmp_path, 1) as (one,):
        one.kill()
        with holders(tmp_path, 1) as (two,):
            two.kill()
            slot = take_slot(tmp_path)
            assert slot.dead == (one.identity, two.identity), "and of those that nobody had come to"
            slot.forget_dead()
            assert live_workers(tmp_path) == {1: os.getpid()}
            slot.release()
    assert dead(tmp_path) == []


def test_a_look_that_fails_leaves_the_dead_to_the_next_one(tmp_path: Path) -> None:
    with holders(tmp_path, 1) as (one,):
        one.kill()
        with pytest.raises(RuntimeError), dead_lives(tmp_path):
            raise RuntimeError
        assert dead(tmp_path) == [one.identity]


def test_a_stopped_worker_is_alive(tmp_path: Path) -> None:
    with holders(tmp_path, 1) as (one,):
        os.kill(one.process.pid, signal.SIGSTOP)
        assert dead(tmp_path) == []
        slot = take_slot(tmp_path)
        assert (slot.number, slot.dead) == (2, ())
        slot.release()


def test_a_worker_that_stops_in_order_leaves_nobody_to_clear_up_after(tmp_path: Path) -> None:
    take_slot(tmp_path).release()
    assert dead(tmp_path) == []


def test_a_copy_of_the_folder_says_nothing_about_who_is_alive(tmp_path: Path) -> None:
    """A backup restored beside a living worker, or a clone of its machine."""
    with holders(tmp_path / "original", 1):
        shutil.copytree(tmp_path / "original", tmp_path / "copy")
        assert dead(tmp_path / "copy") == []
        slot = take_slot(tmp_path / "copy")
        assert slot.dead == ()
        slot.release()


def test_what_was_written_before_a_reboot_is_left_to_timeouts(tmp_path: Path) -> None:
    with holders(tmp_path, 1) as (one,):
        one.kill()
    lock = tmp_path / "workers" / "worker-1.lock"
    pid, identity, place = lock.read_text().split()
    before = place.partition("/")[2]
    with lock.open("r+") as file:  # in place: the file is the same after a reboot
        file.write(f"{pid} {identity} another-boot/{before}\n")
        file.truncate()
    assert dead(tmp_path) == []
