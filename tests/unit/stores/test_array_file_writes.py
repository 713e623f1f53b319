"""`ArrayFile`: appends beside readers, other writers, and earlier appends that failed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from perdure.stores.files import file_lock
from perdure.stores.files.array_file import ArrayFile


def append(array: ArrayFile, element: Any) -> None:
    with array.locked():
        array.append(element)


def fill(path: Path, elements: list[Any]) -> ArrayFile:
    """Create an array by appends, so that it has a spare."""
    array = ArrayFile(path)
    for element in elements:
        append(array, element)
    return array


@contextmanager
def hold_lock(array: ArrayFile) -> Iterator[None]:
    """Hold the array's lock as another process does.

    A lock belongs to an opened file, and not to a process.
    """
    with ArrayFile(array.path).locked():
        yield


def test_reader_sees_the_content_that_it_opened(tmp_path: Path) -> None:
    array = fill(tmp_path / "a.json", [{"number": number} for number in range(5)])
    with array.path.open("rb") as reader:
        append(array, {"number": 5})  # the opened copy is the spare from here on
        append(array, {"number": 6})
        assert json.loads(reader.read()) == [{"number": number} for number in range(5)]
    assert array.read() == [{"number": number} for number in range(7)]


def test_reader_that_opens_a_leased_file_does_not_end_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "spare"
    path.write_text("[]")
    script = f"""
import os, sys
from perdure.stores.files.file_lock import write_lease
descriptor = os.open({str(path)!r}, os.O_RDWR)
print(write_lease(descriptor), flush=True)
sys.stdin.read()
print("alive", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1, text=True) as writer:
        assert writer.stdout
        if writer.stdout.readline() == "False\n":
            writer.communicate()
            pytest.skip("this file system grants no leases")
        with pytest.raises(BlockingIOError):
            os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # the kernel signals the holder of the lease
        assert writer.communicate()[0] == "alive\n"


def test_dropped_elements_do_not_return(tmp_path: Path) -> None:
    same = {"number": 2}
    array = fill(tmp_path / "a.json", [{"number": 1}, *[same] * 4])
    with array.locked():
        array.drop_first(1)
    for count in (5, 6):  # both copies
        append(array, same)
        assert array.read() == [same] * count


def test_replaced_elements_do_not_return(tmp_path: Path) -> None:
    elements = [{"number": number} for number in range(1, 5)]
    array = fill(tmp_path / "a.json", elements)
    elements[0] = {"number": 9}  # as long as before
    assert array.replace(elements, array.read())[0]
    for number in (5, 6):
        append(array, {"number": number})
        elements.append({"number": number})
        assert array.read() == elements


def test_replacement_of_changed_elements_is_refused(tmp_path: Path) -> None:
    array = fill(tmp_path / "a.json", [{"number": 1}])
    examined, _ = array.examine()
    append(array, {"number": 2})
    assert array.replace([{"number": 9}], examined) == (False, None)
    assert array.read() == [{"number": 1}, {"number": 2}]
    assert list(tmp_path.glob("*.damaged-*")) == []


def test_replacement_waits_for_another_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_lock, "LOCK_SECONDS", 0.05)
    array = fill(tmp_path / "a.json", [{"number": 1}])
    with hold_lock(array), pytest.raises(TimeoutError):
        array.replace([{"number": 9}], array.read())
    assert array.read() == [{"number": 1}]


def test_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    """A child that is forked while the lock is held keeps a copy of the lock's descriptor."""
    script = f"""
import os, signal
from pathlib import Path
from perdure.stores.files import file_lock
from perdure.stores.files.array_file import ArrayFile
file_lock.LOCK_SECONDS = 0.2
array = ArrayFile(Path({str(tmp_path / "a.json")!r}))
with array.locked():
    child = os.fork()
    if child == 0:
        signal.pause()
try:
    with array.locked():
        array.append(1)
finally:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
    assert ArrayFile(tmp_path / "a.json").read() == [1]


def test_write_that_the_kernel_cuts_short_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, content, offset: pwrite(descriptor, content[:7], offset))
    elements = [{"number": number, "text": "x" * 50} for number in range(4)]
    assert fill(tmp_path / "a.json", elements).read() == elements


class KilledError(BaseException):
    """Stands for SIGKILL at one system call: no code of the process runs after it."""


def test_append_after_an_interrupted_longer_one_leaves_valid_json(tmp_path: Path) -> None:
    def die(_: int) -> None:
        raise KilledError

    elements = [{"number": number, "text": ""} for number in range(3)]
    array = fill(tmp_path / "a.json", elements)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", die)
        with pytest.raises(KilledError):
            append(array, {"number": 3, "text": "x" * 1_000})
    append(array, {"number": 3, "text": "short"})
    assert json.loads(array.path.read_bytes()) == [*elements, {"number": 3, "text": "short"}]


def test_append_transfers_a_bounded_part_of_the_file(tmp_path: Path) -> None:
    elements = [{"number": number, "text": "x" * 1_000} for number in range(1_000)]
    array = ArrayFile(tmp_path / "a.json")
    assert array.replace(elements, [])[0]
    append(array, elements[0])  # makes the spare, which copies the file once

    def count_transferred_bytes() -> int:
        fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
        return int(fields["rchar"]) + int(fields["wchar"])

    for _ in range(3):
        before = count_transferred_bytes()
        append(array, elements[0])
        assert count_transferred_bytes() - before < 100_000
    assert array.path.stat().st_size > 1_000_000


def test_large_elements_are_appended_without_a_repair(tmp_path: Path) -> None:
    elements = [{"number": number, "text": "x" * 100_000} for number in range(3)]
    array = fill(tmp_path / "a.json", elements)
    assert array.read() == elements
    assert array.last() == elements[-1]
    assert list(tmp_path.glob("*.damaged-*")) == []


def test_reading_stops_at_the_first_damaged_line(tmp_path: Path) -> None:
    """The elements behind the damage do not follow those before it."""
    path = tmp_path / "a.json"
    path.write_bytes(b'[\n{"number":0},\n{"numb\0\0\0\0},\n{"number":2}\n]\n')
    assert ArrayFile(path).read() == [{"number": 0}]
    elements, damage = ArrayFile(path).examine()
    assert elements == [{"number": 0}]
    assert damage == "is damaged: of its elements only the first 1 can be read"


@pytest.mark.parametrize(
    "content",
    [b'[\n{"number":0}\n{"number":1}\n]\n', b'[\n{"number":0},\n{"number":1\n]\n', b'[\n{"number":0},\n\0\0\0\n]\n'],
    ids=["comma lost", "bracket lost", "zeros"],
)
def test_append_to_a_damaged_end_leaves_valid_json(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    append(ArrayFile(path), {"number": 7})
    numbers = [element["number"] for element in json.loads(path.read_bytes())]
    assert numbers in ([0, 7], [0, 1, 7])
    (kept,) = tmp_path.glob("*.damaged-*")
    assert kept.read_bytes() == content


def test_failed_append_gives_its_space_back(tmp_path: Path) -> None:
    """The disk gets back the bytes of the element that the kernel had accepted."""
    array = fill(tmp_path / "a.json", [{"number": number, "text": "x" * 100} for number in range(5)])
    spare = tmp_path / ".a.json.spare"
    shared = spare.stat().st_size
    script = f"""
import resource, signal
from pathlib import Path
from perdure.stores.files.array_file import ArrayFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
array = ArrayFile(Path({str(array.path)!r}))
with array.locked():
    resource.setrlimit(resource.RLIMIT_FSIZE, ({array.path.stat().st_size + 50}, resource.RLIM_INFINITY))
    try:
        array.append({{"number": 5, "text": "x" * 1000}})
    except OSError:
        raise SystemExit(0)
raise SystemExit(1)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
    assert spare.stat().st_size <= shared
