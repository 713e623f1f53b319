"""The recorder finds each crash that a careless writer would not survive."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.crash.recorder import record


def write_in_place(path: Path, content: str) -> None:
    with path.open("w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def rename_unsynced(path: Path, content: str) -> None:
    fresh = path.with_name("fresh")
    fresh.write_text(content)
    fresh.rename(path)


def rename_synced(path: Path, content: str) -> None:
    fresh = path.with_name("fresh")
    write_in_place(fresh, content)
    fresh.rename(path)


def rename_durably(path: Path, content: str) -> None:
    rename_synced(path, content)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def list_outcomes(
    folder: Path, after: Path, write: Callable[[Path, str], None], *, power: bool
) -> set[tuple[str, ...]]:
    """Return the content that each crash leaves, and the contents that were acknowledged.

    The crashes happen while `write` changes the content from "old!" to "new!".
    """
    path = folder / "file"
    path.write_text("old!")
    with record(folder, "old!") as recorder:
        write(path, "new!")
        recorder.acknowledge("new!")
    crashes = recorder.lose_power(after) if power else recorder.kill_process(after)
    return {(crash.folder.joinpath("file").read_text().replace("\0", "0"), *crash.expected) for crash in crashes}


TORN_IN_PLACE = {(content, "old!", "new!") for content in ("", "ne", "00w!", "ned!", "olw!")}
WHOLE = {("old!", "old!", "new!"), ("new!", "old!", "new!"), ("new!", "new!")}


@pytest.mark.parametrize(
    ("write", "losses"),
    [
        (write_in_place, TORN_IN_PLACE),
        (rename_unsynced, {("old!", "new!"), ("", "new!"), ("ne", "new!"), ("00w!", "new!")}),
        (rename_synced, {("old!", "new!")}),
        (rename_durably, set()),
    ],
)
def test_power_loss_shows_each_missing_sync(
    tmp_path: Path, write: Callable[[Path, str], None], losses: set[tuple[str, ...]]
) -> None:
    (tmp_path / "folder").mkdir()
    assert list_outcomes(tmp_path / "folder", tmp_path / "after", write, power=True) - WHOLE == losses


@pytest.mark.parametrize("write", [rename_unsynced, rename_durably])
def test_kill_keeps_every_operation_so_far(tmp_path: Path, write: Callable[[Path, str], None]) -> None:
    (tmp_path / "folder").mkdir()
    outcomes = list_outcomes(tmp_path / "folder", tmp_path / "after", write, power=False)
    assert outcomes - {("new!", "old!", "new!")} == {("old!", "old!", "new!"), ("new!", "new!")}


def test_copies_folders_and_hard_links_are_recorded(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "source").write_text("content")
    with record(folder, None) as recorder:
        (folder / "new" / "below").mkdir(parents=True)
        shutil.copyfile(folder / "source", folder / "new" / "copy")
        os.link(folder / "source", folder / "new" / "below" / "link")
        (folder / "source").unlink()
    *_, last = recorder.kill_process(tmp_path / "after")
    assert (last.folder / "new" / "copy").read_text() == "content"
    assert (last.folder / "new" / "below" / "link").read_text() == "content"
    assert not (last.folder / "source").exists()
    lost = [crash.folder for crash in recorder.lose_power(tmp_path / "lost") if not (crash.folder / "new").exists()]
    assert lost, "a folder whose parent was not synced may be lost with all that is in it"
