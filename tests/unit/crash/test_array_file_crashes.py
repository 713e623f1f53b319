"""`ArrayFile`: after any crash, the file holds the array before or after the operation."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perdure.stores.files import array_file
from perdure.stores.files.array_file import ArrayFile
from tests.unit.crash.recorder import Crash, record

NAME = "a.json"


def make_element(number: int) -> dict[str, Any]:
    """Return an element with different parts, so that no half of it equals another element."""
    return {"number": number, "text": f"{number}-" * 10}


def append(array: ArrayFile, number: int) -> None:
    with array.locked():
        array.append(make_element(number))


def drop_first(array: ArrayFile) -> None:
    with array.locked():
        array.drop_first(2)


def replace(array: ArrayFile) -> None:
    elements = array.read()
    assert array.replace([make_element(100), *elements[1:]], elements)[0]


def lose_spare(array: ArrayFile) -> None:
    array.path.with_name(f".{NAME}.spare").unlink()


@pytest.fixture(autouse=True)
def _leases_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grant leases without the kernel.

    The recorder is the only reader, and a lease would stop the recorder while the file is written.
    """
    monkeypatch.setattr(array_file, "write_lease", lambda _: True)


def read_valid(path: Path) -> Any:
    """Return the content of a file that must hold valid JSON."""
    content = path.read_bytes()
    try:
        return json.loads(content)
    except ValueError:
        pytest.fail(f"{path.name} holds no valid JSON: {content!r}")


def check_array(crash: Crash) -> None:
    """Check that a crash left an acknowledged array, and that three appends continue the array."""
    path = crash.folder / NAME
    elements = read_valid(path) if path.exists() else []
    assert elements in crash.expected, crash.operations
    for number in range(200, 203):  # exchanges the published copy and the spare
        append(ArrayFile(path), number)
        elements.append(make_element(number))
        assert read_valid(path) == elements, crash.operations


APPEND = [lambda array: append(array, 50), lambda array: append(array, 51), lambda array: append(array, 52)]
SCENARIOS: dict[str, list[Callable[[ArrayFile], None]]] = {
    "append": APPEND,
    "append with a new spare": [lose_spare, *APPEND],
    "drop the first": [drop_first, *APPEND[:2]],
    "replace": [replace, *APPEND[:2]],
}


@pytest.mark.parametrize("steps", SCENARIOS.values(), ids=SCENARIOS.keys())
@pytest.mark.parametrize("length", [3, 6])
def test_power_loss_leaves_an_acknowledged_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, steps: list[Callable[[ArrayFile], None]]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    array = ArrayFile(folder / NAME)
    for number in range(length):
        append(array, number)
    with record(folder, array.read()) as recorder:
        for step in steps:
            step(array)
            recorder.acknowledge(array.read())
    monkeypatch.setattr(os, "fsync", lambda _: None)  # the checks write to folders that are thrown away
    for crash in recorder.lose_power(tmp_path / "after"):
        check_array(crash)


def test_power_loss_during_the_first_appends_loses_no_acknowledged_element(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    array = ArrayFile(folder / NAME)
    with record(folder, []) as recorder:
        for number in range(4):
            append(array, number)
            recorder.acknowledge([make_element(earlier) for earlier in range(number + 1)])
    monkeypatch.setattr(os, "fsync", lambda _: None)  # as above
    for crash in recorder.lose_power(tmp_path / "after"):
        check_array(crash)
