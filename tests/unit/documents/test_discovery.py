"""Discovery lists each document of a source once, in one order, and none outside the source."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.documents.addresses import path_of, shown, uri_of
from perdure.documents.discovery import check_source, discover, normalise_source, version_of
from perdure.errors import DependencyUnavailable, InvalidSource, SourceNotFound, UnreadableDocument
from tests.unit.documents.opening import processed_here

NAMES = [
    b"plain.txt",
    b"with space.txt",
    b"new\nline.txt",
    b"hash#and%25.txt",
    b"question?.txt",
    b"latin-\xe9.txt",
    "déjà vu ☃.txt".encode(),
    b"-dash.txt",
    b"~tilde.txt",
    b"back\\slash.txt",
    b"surrogate-\xed\xa0\x80.txt",
]


def _fill(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def _names(*sources: Path | str) -> list[str]:
    return [document.name for document in discover([str(source) for source in sources])]


@pytest.mark.parametrize("name", NAMES)
def test_file_name_is_restored_from_its_uri(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"x")
    (document,) = discover([str(tmp_path)])
    assert document.uri.isascii()
    assert path_of(document.uri) == path
    assert path_of(document.uri).read_bytes() == b"x"
    for text in (document.uri, document.name, document.source):
        assert text.encode().decode().isprintable()
    assert [again.uri for again in discover([document.uri])] == [document.uri]


@given(st.binary(min_size=1, max_size=60).filter(lambda name: b"\0" not in name))
def test_any_path_is_restored_from_its_uri(name: bytes) -> None:
    path = Path(os.path.normpath(b"/folder/" + name.replace(b"/..", b"/")).decode(errors="surrogateescape"))
    assert path_of(uri_of(path)) == path
    assert uri_of(path).isascii()
    assert shown(path).encode().decode().isprintable()


def test_documents_are_sorted_by_name_without_hidden_ones(tmp_path: Path) -> None:
    _fill(tmp_path, "b/2.txt", "b/1.txt", "a.txt", "c.txt", "b/.hidden", ".git/config", "b/d/e.txt", "B.txt")
    assert _names(tmp_path) == ["B.txt", "a.txt", "b/1.txt", "b/2.txt", "b/d/e.txt", "c.txt"]
    assert _names(tmp_path) == _names(tmp_path)


def test_hidden_folder_named_as_a_source_is_read(tmp_path: Path) -> None:
    _fill(tmp_path, ".inbox/a.txt")
    assert _names(tmp_path / ".inbox") == ["a.txt"]


def test_sources_keep_the_order_of_the_command(tmp_path: Path) -> None:
    _fill(tmp_path, "x/1.txt", "y/2.txt")
    listed = list(discover([str(tmp_path / "y"), uri_of(tmp_path / "x"), str(tmp_path / "x" / "1.txt")]))
    assert [document.name for document in listed] == ["2.txt", "1.txt", "1.txt"]
    assert [document.source for document in listed] == [uri_of(tmp_path / part) for part in ("y", "x", "x/1.txt")]
    assert listed[0].version == version_of((tmp_path / "y/2.txt").stat())


def test_link_never_leads_outside_and_never_counts_a_file_twice(tmp_path: Path) -> None:
    _fill(tmp_path, "outside.txt", "root/a.txt", "root/sub/b.txt", "root/..data/mounted.txt")
    root = tmp_path / "root"
    (root / "out.txt").symlink_to(tmp_path / "outside.txt")
    (root / "again.txt").symlink_to(root / "a.txt")
    (root / "up").symlink_to(tmp_path)
    (root / "circle").symlink_to(root)
    (root / "self").symlink_to("self")
    (root / "broken").symlink_to("nowhere")
    (root / "mounted.txt").symlink_to("..data/mounted.txt")  # Kubernetes mounts files like this.
    (root / "mounted-again.txt").symlink_to("..data/mounted.txt")
    assert _names(root) == ["a.txt", "mounted-again.txt", "sub/b.txt"]
    assert _names(tmp_path / "root" / "circle") == _names(root)


def test_pipes_and_sockets_are_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "socket"))
        _fill(tmp_path, "a.txt")
        assert _names(tmp_path) == ["a.txt"]


def test_deeply_nested_folders_are_walked(tmp_path: Path) -> None:
    depth = 1200
    folders = [f"{tmp_path}{'/d' * level}" for level in range(1, depth + 1)]
    for folder in folders:
        Path(folder).mkdir()
    Path(folders[-1], "deep.txt").write_text("x")
    try:
        (document,) = discover([str(tmp_path)])
        assert document.name.count("/") == depth
    finally:  # pytest's removal of temporary folders is recursive and would fail at this depth
        Path(folders[-1], "deep.txt").unlink()
        for folder in reversed(folders):
            Path(folder).rmdir()


def test_discovery_yields_documents_one_by_one(tmp_path: Path) -> None:
    _fill(tmp_path, "a/1.txt", "b/2.txt")
    listed = discover([str(tmp_path)])
    assert next(listed).name == "a/1.txt"
    _fill(tmp_path, "b/3.txt")
    assert [document.name for document in listed] == ["b/2.txt", "b/3.txt"]


def test_unreadable_folder_is_listed_with_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(tmp_path, "a.txt", "locked/b.txt", "z.txt")
    scandir = os.scandir

    def guarded(folder: str | Path) -> object:  # The tests may run as root, which may read every folder.
        if str(folder).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", guarded)
    listed = list(discover([str(tmp_path)]))
    assert [document.name for document in listed] == ["a.txt", "locked", "z.txt"]
    with pytest.raises(UnreadableDocument):
        processed_here(listed[1].uri, listed[1].name, listed[1].source)


def test_missing_source_makes_discovery_wait(tmp_path: Path) -> None:
    with pytest.raises(DependencyUnavailable):
        list(discover([str(tmp_path / "gone")]))


@pytest.mark.parametrize(
    "text", ["", "  ", "ftp://host/key", "file://server/share", "file://", "file:///a%00b", "a\0b", "\ud800"]
)
def test_unusable_source_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(InvalidSource) as caught:
        normalise_source(text)
    assert str(caught.value).endswith(".")
    assert str(caught.value).encode()


def test_source_without_documents_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    _fill(tmp_path, "hidden/.a", "good.txt")
    os.mkfifo(tmp_path / "pipe")
    check_source(str(tmp_path / "good.txt"))
    check_source(uri_of(tmp_path))
    with pytest.raises(SourceNotFound, match="no file or folder"):
        check_source(str(tmp_path / "nowhere"))
    with pytest.raises(SourceNotFound):
        check_source(str(tmp_path / "good.txt" / "below"))
    for name, why in (("empty", "holds no documents"), ("hidden", "holds no documents"), ("pipe", "neither")):
        with pytest.raises(InvalidSource, match=why):
            check_source(str(tmp_path / name))


def test_relative_and_home_paths_become_absolute_uris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    _fill(tmp_path, "a b.txt")
    expected = uri_of(tmp_path.resolve() / "a b.txt")
    assert (
        normalise_source("a b.txt") == normalise_source("./x/../a b.txt") == normalise_source("~/a b.txt") == expected
    )
    assert normalise_source(expected) == normalise_source(expected.replace("file://", "FILE://localhost")) == expected
