"""Discovery finds every document once, in one order, names it exactly, and never leaves its source."""

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
def test_every_file_name_round_trips_through_its_uri(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"x")
    (document,) = discover([str(tmp_path)])
    assert document.uri.isascii()
    assert path_of(document.uri) == path
    assert path_of(document.uri).read_bytes() == b"x"
    for text in (document.uri, document.name, document.source):
        assert text.encode().decode().isprintable()
    assert [one.uri for one in discover([document.uri])] == [document.uri]


@given(st.binary(min_size=1, max_size=60).filter(lambda name: b"\0" not in name))
def test_any_path_round_trips_through_its_uri(name: bytes) -> None:
    path = Path(os.path.normpath(b"/root/" + name.replace(b"/..", b"/")).decode(errors="surrogateescape"))
    assert path_of(uri_of(path)) == path
    assert uri_of(path).isascii()
    assert shown(path).encode().decode().isprintable()


def test_order_is_that_of_names_folder_by_folder_and_hidden_ones_are_passed_over(tmp_path: Path) -> None:
    _fill(tmp_path, "b/2.txt", "b/1.txt", "a.txt", "c.txt", "b/.hidden", ".git/config", "b/d/e.txt", "B.txt")
    assert _names(tmp_path) == ["B.txt", "a.txt", "b/1.txt", "b/2.txt", "b/d/e.txt", "c.txt"]
    assert _names(tmp_path) == _names(tmp_path)


def test_a_hidden_source_that_is_named_is_read(tmp_path: Path) -> None:
    _fill(tmp_path, ".inbox/a.txt")
    assert _names(tmp_path / ".inbox") == ["a.txt"]


def test_sources_come_in_the_order_given_and_each_is_named(tmp_path: Path) -> None:
    _fill(tmp_path, "x/1.txt", "y/2.txt")
    found = list(discover([str(tmp_path / "y"), uri_of(tmp_path / "x"), str(tmp_path / "x" / "1.txt")]))
    assert [one.name for one in found] == ["2.txt", "1.txt", "1.txt"]
    assert [one.source for one in found] == [uri_of(tmp_path / part) for part in ("y", "x", "x/1.txt")]
    assert found[0].version == version_of((tmp_path / "y/2.txt").stat())


def test_links_never_lead_out_and_never_count_a_file_twice(tmp_path: Path) -> None:
    _fill(tmp_path, "outside.txt", "root/a.txt", "root/sub/b.txt", "root/..data/mounted.txt")
    root = tmp_path / "root"
    (root / "out.txt").symlink_to(tmp_path / "outside.txt")
    (root / "again.txt").symlink_to(root / "a.txt")
    (root / "up").symlink_to(tmp_path)
    (root / "circle").symlink_to(root)
    (root / "self").symlink_to("self")
    (root / "broken").symlink_to("nowhere")
    (root / "mounted.txt").symlink_to("..data/mounted.txt")  # as Kubernetes mounts files
    (root / "mounted-again.txt").symlink_to("..data/mounted.txt")
    assert _names(root) == ["a.txt", "mounted-again.txt", "sub/b.txt"]
    assert _names(tmp_path / "root" / "circle") == _names(root)


def test_what_is_neither_file_nor_folder_is_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "socket"))
        _fill(tmp_path, "a.txt")
        assert _names(tmp_path) == ["a.txt"]


def test_folders_nested_deeper_than_python_calls_are_walked(tmp_path: Path) -> None:
    depth = 1200
    folders = [f"{tmp_path}{'/d' * level}" for level in range(1, depth + 1)]
    for folder in folders:
        Path(folder).mkdir()
    Path(folders[-1], "deep.txt").write_text("x")
    try:
        (document,) = discover([str(tmp_path)])
        assert document.name.count("/") == depth
    finally:  # what removes temporary folders calls itself for each level
        Path(folders[-1], "deep.txt").unlink()
        for folder in reversed(folders):
            Path(folder).rmdir()


def test_discovery_streams(tmp_path: Path) -> None:
    _fill(tmp_path, "a/1.txt", "b/2.txt")
    found = discover([str(tmp_path)])
    assert next(found).name == "a/1.txt"
    _fill(tmp_path, "b/3.txt")
    assert [one.name for one in found] == ["b/2.txt", "b/3.txt"]


def test_a_folder_that_may_not_be_read_is_listed_so_that_it_ends_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(tmp_path, "a.txt", "locked/b.txt", "z.txt")
    really = os.scandir

    def guarded(folder: str | Path) -> object:  # root may read everything, so the refusal is made here
        if str(folder).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return really(folder)

    monkeypatch.setattr(os, "scandir", guarded)
    found = list(discover([str(tmp_path)]))
    assert [one.name for one in found] == ["a.txt", "locked", "z.txt"]
    with pytest.raises(UnreadableDocument):
        processed_here(found[1].uri, found[1].name, found[1].source)


def test_a_source_that_is_gone_is_the_worlds_fault(tmp_path: Path) -> None:
    with pytest.raises(DependencyUnavailable):
        list(discover([str(tmp_path / "gone")]))


@pytest.mark.parametrize(
    "text", ["", "  ", "ftp://host/key", "file://server/share", "file://", "file:///a%00b", "a\0b", "\ud800"]
)
def test_what_names_nothing_here_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(InvalidSource) as caught:
        normalise_source(text)
    assert str(caught.value).endswith(".")
    assert str(caught.value).encode()


def test_sources_are_checked_before_a_run(tmp_path: Path) -> None:
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
