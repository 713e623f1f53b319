"""An error of a file is the document's fault (quarantine) or its source's (wait and retry)."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from perdure.documents.addresses import uri_of
from perdure.documents.reading import content_hash, version_of
from perdure.errors import (
    DependencyUnavailable,
    DocumentError,
    DocumentTooLarge,
    EmptyDocument,
    UnreadableDocument,
    VanishedDocument,
)
from tests.unit.documents.opening import read_document

LIMIT = 1000


def _read(path: Path, source: Path) -> bytes:
    return read_document(uri_of(path), uri_of(source), LIMIT)


def test_bytes_are_read_unchanged(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\0\xff")
    assert _read(tmp_path / "a", tmp_path) == b"\0\xff"
    assert content_hash(uri_of(tmp_path / "a")) == hashlib.sha256(b"\0\xff").hexdigest()


def test_version_changes_although_the_time_is_set_back(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        path.write_bytes(b"new")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert version_of(after) != version_of(before)


def test_missing_file_of_a_present_source_has_vanished(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    with pytest.raises(VanishedDocument):
        _read(tmp_path / "gone", tmp_path)
    with pytest.raises(VanishedDocument):  # The file itself is the source, and its folder is there.
        _read(tmp_path / "gone", tmp_path / "gone")
    assert content_hash(uri_of(tmp_path / "gone")) is None


def test_missing_source_is_unavailable(tmp_path: Path) -> None:
    share = tmp_path / "share"
    with pytest.raises(DependencyUnavailable, match="not there now"):
        _read(share / "a", share)
    with pytest.raises(DependencyUnavailable, match="not there now"):
        _read(share / "a", share / "a")


def test_empty_source_folder_is_unavailable(tmp_path: Path) -> None:
    share = tmp_path / "share"
    (share / "inner").mkdir(parents=True)
    with pytest.raises(VanishedDocument):
        _read(share / "inner" / "a", share)
    (share / "inner").rmdir()
    with pytest.raises(DependencyUnavailable, match="empty now, as when its disk is not mounted"):
        _read(share / "inner" / "a", share)


def test_pipe_folder_and_device_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(UnreadableDocument):
            _read(path, tmp_path)
        assert content_hash(uri_of(path)) is None


def test_empty_and_too_large_files_have_their_reasons(tmp_path: Path) -> None:
    for size in (0, LIMIT, LIMIT + 1):
        (tmp_path / str(size)).write_bytes(b"x" * size)
    with pytest.raises(EmptyDocument):
        _read(tmp_path / "0", tmp_path)
    assert len(_read(tmp_path / str(LIMIT), tmp_path)) == LIMIT
    with pytest.raises(DocumentTooLarge, match="limit"):
        _read(tmp_path / str(LIMIT + 1), tmp_path)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM,
                                    errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN])  # fmt: skip
def test_failure_of_disk_or_machine_makes_the_source_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    _refuse(monkeypatch, number)
    with pytest.raises(DependencyUnavailable):
        _read(tmp_path / "a", tmp_path)
    with pytest.raises(DependencyUnavailable):
        content_hash(uri_of(tmp_path / "a"))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG])
def test_refused_file_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    _refuse(monkeypatch, number)
    with pytest.raises(UnreadableDocument) as caught:
        _read(tmp_path / "a", tmp_path)
    assert isinstance(caught.value, DocumentError)
    assert str(caught.value).endswith(".")
    assert content_hash(uri_of(tmp_path / "a")) is None


def _refuse(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("perdure.documents.reading.os.open", refuse)
