"""`ArrayFile`: no file is written to while another process may read it."""

import fcntl
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perdure.stores.files import file_lock
from perdure.stores.files.array_file import ArrayFile, DamagedArrayError


class KilledError(BaseException):
    """Stands for SIGKILL at one system call: no code of the process runs after it."""


def append(array: ArrayFile, element: Any) -> None:
    with array.locked():
        array.append(element)


def filled(path: Path, count: int) -> ArrayFile:
    array = ArrayFile(path)
    for number in range(count):
        append(array, {"number": number, "text": "é\u2028" * 50})
    return array


def numbers(path: Path) -> list[int]:
    return [element["number"] for element in json.loads(path.read_bytes())]


def test_elements_are_read_in_the_order_of_appends(tmp_path: Path) -> None:
    array = filled(tmp_path / "a.json", 5)
    assert numbers(array.path) == [0, 1, 2, 3, 4]
    last = array.last()
    assert last is not None
    assert last["number"] == 4
    assert [element["number"] for element in array.read()] == [0, 1, 2, 3, 4]


def test_the_cost_of_an_append_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # the test counts bytes, and needs no disk
    array = ArrayFile(tmp_path / "a.json")
    element = {"number": 1, "padding": "x" * 1000}

    def transferred() -> int:
        fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
        return int(fields["rchar"]) + int(fields["wchar"])

    costs = []
    for _ in range(10_000):
        before = transferred()
        append(array, element)
        costs.append(transferred() - before)
    assert array.path.stat().st_size > 10_000_000
    assert max(costs[5_000:]) <= max(costs[200:400]) + 1_000
    assert max(costs[200:]) < 100_000


@pytest.mark.parametrize("length", [1, 2, 3, 10])
def test_a_kill_at_any_system_call_leaves_a_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    reached = 0
    for moment in range(1, 100):
        path = tmp_path / f"{moment}.json"
        array = filled(path, length)
        with monkeypatch.context() as patch:
            kill_at(patch, moment)
            try:
                append(array, {"number": length})
            except KilledError:
                reached += 1
        elements = numbers(path)
        assert elements in (list(range(length)), list(range(length + 1)))
        for number in range(len(elements), len(elements) + 3):  # exchanges both copies
            append(array, {"number": number})
            assert numbers(path) == list(range(number + 1))
        if reached < moment:
            break
    assert reached >= 6, "the append made fewer system calls than the test expects"


def kill_at(patch: pytest.MonkeyPatch, moment: int) -> None:
    """Raise `KilledError` in the call number `moment` that changes the disk.

    A killed write stores the first half of its bytes.
    """
    calls = 0

    def dying(real: Callable[..., Any], *, half: bool = False) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls != moment:
                return real(*arguments, **options)
            if half:
                descriptor, content, offset = arguments
                real(descriptor, content[: len(content) // 2], offset)
            raise KilledError

        return call

    for name in ("ftruncate", "fsync", "link", "unlink", "rename"):
        patch.setattr(os, name, dying(getattr(os, name)))
    patch.setattr(os, "pwrite", dying(os.pwrite, half=True))


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_torn_file_keeps_its_complete_elements(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.json"
    array = ArrayFile(path)
    for number in range(3):
        append(array, {"number": number})
    whole = path.read_bytes()
    path.write_bytes(whole[: max(0, len(whole) - cut)])
    kept = array.read()
    assert kept == [{"number": number} for number in range(len(kept))]
    assert len(kept) == path.read_bytes().count(b"}")
    append(array, {"number": len(kept)})
    assert numbers(path) == list(range(len(kept) + 1))


def test_a_repair_keeps_the_damaged_file(tmp_path: Path) -> None:
    array = filled(tmp_path / "a.json", 3)
    torn = array.path.read_bytes()[:-40]
    array.path.write_bytes(torn)
    append(array, {"number": 2})
    (kept,) = tmp_path.glob("a.json.damaged-*")
    assert kept.read_bytes() == torn


def test_an_array_in_another_layout_is_continued(tmp_path: Path) -> None:
    array = filled(tmp_path / "a.json", 3)
    array.path.write_text(json.dumps(json.loads(array.path.read_bytes()), indent=4))
    append(array, {"number": 3})
    assert numbers(array.path) == [0, 1, 2, 3]


def test_a_file_without_an_array_is_refused_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for content in ('{"number": 0}', "precious notes", 'notes\n{"number": 0}\n'):
        path.write_text(content)
        with pytest.raises(DamagedArrayError):
            append(ArrayFile(path), {"number": 0})
        assert path.read_text() == content


def test_an_empty_file_is_an_empty_array(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for content in ("", "[", "[]", "[\n", " \n"):
        path.write_text(content)
        array = ArrayFile(path)
        assert array.read() == []
        append(array, {"number": 0})
        assert numbers(path) == [0]


def test_a_hard_link_keeps_the_former_content(tmp_path: Path) -> None:
    array = filled(tmp_path / "a.json", 3)
    snapshot = tmp_path / "snapshot.json"
    snapshot.hardlink_to(array.path)
    for number in range(3, 8):
        append(array, {"number": number})
    assert numbers(snapshot) == [0, 1, 2]
    assert numbers(array.path) == list(range(8))


def test_a_file_that_replaces_the_published_one_is_continued(tmp_path: Path) -> None:
    array = filled(tmp_path / "a.json", 6)
    other = tmp_path / "other.json"
    for kept in (4, 2, 9):
        other.unlink(missing_ok=True)
        other.write_text("[\n" + ",\n".join(json.dumps({"number": 100 + element}) for element in range(kept)) + "\n]\n")
        other.rename(array.path)
        for more in range(3):
            append(array, {"number": more})
        assert numbers(array.path) == [*range(100, 100 + kept), 0, 1, 2]


def test_appends_work_on_a_file_system_without_leases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "F_SETLEASE", -1)
    array = filled(tmp_path / "a.json", 5)
    assert numbers(array.path) == [0, 1, 2, 3, 4]


def test_appends_of_several_threads_are_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "a.json"

    def work() -> None:
        for _ in range(20):
            array = ArrayFile(path)
            with array.locked():
                array.append({"number": len(array.read())})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers(path) == list(range(80))


def test_a_lock_that_is_not_released_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_lock, "LOCK_SECONDS", 0.1)
    array = filled(tmp_path / "a.json", 1)
    with array.locked(), pytest.raises(TimeoutError, match=r"a\.json\.lock"), array.locked():
        pass


def test_a_failed_append_leaves_the_file_unchanged(tmp_path: Path) -> None:
    array = filled(tmp_path / "a.json", 20)
    before = array.path.read_bytes()
    # The limit on file sizes stands for a full disk: the kernel refuses the write half-way.
    script = f"""
import resource, signal, errno
from pathlib import Path
from perdure.stores.files.array_file import ArrayFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 10}, resource.RLIM_INFINITY))
array = ArrayFile(Path({str(array.path)!r}))
for attempt in range(2):
    try:
        with array.locked():
            array.append({{"number": 20}})
    except OSError as error:
        assert error.errno == errno.EFBIG, error
    else:
        raise AssertionError("the limit was not felt")
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
    assert array.path.read_bytes() == before
    append(array, {"number": 20})
    assert numbers(array.path) == list(range(21))
