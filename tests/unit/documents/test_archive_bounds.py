"""An archive beyond a bound is one document, and none of its members is taken."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from perdure.documents.discovery import discover
from perdure.documents.sources import tar_archive, zip_archive
from tests.unit.documents.archives import make_tar, make_zip


def _is_refused(path: Path) -> bool:
    """Return whether discovery lists the archive itself, as one of which no member is taken."""
    return [document.name for document in discover([str(path)])] == [path.name]


def test_zip_with_a_directory_beyond_the_bounds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = [(f"{number}.txt", b"x") for number in range(3)]
    path = make_zip(tmp_path / "a.zip", *members)
    assert not _is_refused(path)
    with monkeypatch.context() as bounds:
        bounds.setattr(zip_archive, "MAX_MEMBERS", 2)
        assert _is_refused(path)
    with monkeypatch.context() as bounds:
        bounds.setattr(zip_archive, "MAX_DIRECTORY_BYTES", 100)
        assert _is_refused(path)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)  # the library writes records of ZIP64 from here on
    assert b"PK\6\7" in make_zip(path, *members).read_bytes()
    assert _is_refused(path)


def test_tar_is_listed_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = [(f"{number}.txt", bytes(20_000)) for number in range(5)]
    path = make_tar(tmp_path / "a.tar.gz", "w:gz", *members)
    whole = [f"a.tar.gz/{name}" for name, _ in members]
    assert [document.name for document in discover([str(path)])] == whole
    with monkeypatch.context() as bounds:
        bounds.setattr(tar_archive, "MAX_MEMBERS", 3)
        assert [document.name for document in discover([str(path)])] == [*whole[:3], path.name]
    with monkeypatch.context() as bounds:
        bounds.setattr(tar_archive, "MAX_TAR_BYTES", 50_000)
        assert [document.name for document in discover([str(path)])] == [*whole[:3], path.name]


def test_tar_with_a_large_header_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a.txt")
        info.pax_headers = {"comment": "x" * 2_000_000}
        archive.addfile(info, io.BytesIO())
    assert _is_refused(tmp_path / "a.tar")
