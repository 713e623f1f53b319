"""Each member of an archive or a mailbox is a document, and no archive harms the worker."""

import contextlib
import os
import random
from pathlib import Path

import pytest

from perdure.documents.addresses import uri_of
from perdure.documents.discovery import check_source, discover, normalise_source
from perdure.documents.document import DiscoveredDocument
from perdure.documents.sources import content_hash, index_cache, mailbox, open_document
from perdure.errors import (
    DamagedDocument,
    DocumentError,
    DocumentTooLarge,
    EmptyDocument,
    EncryptedDocument,
    SourceNotFound,
    UnreadableDocument,
    VanishedDocument,
)
from tests.unit.documents.archives import make_tar, make_zip
from tests.unit.documents.opening import read_document

LIMIT = 1_000_000


def _contents(source: Path) -> dict[str, bytes]:
    listed = list(discover([str(source)]))
    assert len({document.uri for document in listed}) == len(listed)
    assert all(document.uri.isascii() for document in listed)
    return {document.name: read_document(document.uri, document.source, LIMIT) for document in listed}


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar.bz2", "w:bz2")]
)
def test_members_of_a_tar_are_documents(tmp_path: Path, name: str, mode: str) -> None:
    members = [("x/1.txt", b"one"), ("../../etc/passwd", b"two"), ("x/1.txt", b"three")]
    listed = list(discover([str(make_tar(tmp_path / name, mode, *members))]))
    assert [read_document(document.uri, document.source, LIMIT) for document in listed] == [b"one", b"two", b"three"]
    assert len({document.uri for document in listed}) == 3
    assert all(content_hash(document.uri) for document in listed)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_a_zip_are_documents_whatever_their_names(tmp_path: Path) -> None:
    names = ["a.txt", "../../up.txt", "/root.txt", "ü !#?.txt", "a.txt"]
    make_zip(tmp_path / "b!.zip", *((name, str(number).encode()) for number, name in enumerate(names)))
    listed = list(discover([str(tmp_path)]))
    assert [read_document(document.uri, document.source, LIMIT) for document in listed] == [
        b"0",
        b"1",
        b"2",
        b"3",
        b"4",
    ]
    assert [document.name for document in listed] == [f"b!.zip/{name}" for name in names]
    assert listed[0].uri == f"zip+{uri_of(tmp_path)}/b%21.zip!/a.txt"
    assert [path.name for path in tmp_path.iterdir()] == ["b!.zip"]


def test_messages_of_a_mailbox_are_documents_even_broken_ones(tmp_path: Path) -> None:
    (tmp_path / "x.mbox").write_bytes(
        b"From a\nSubject: 1\n\nFrom within\nbody\n\nFrom b\n"
        b"\xff\xfe no header\nFrom here no separator\n\nFrom c\nSubject: 3\n"
    )
    contents = _contents(tmp_path)
    assert list(contents) == ["x.mbox/1.eml", "x.mbox/2.eml", "x.mbox/3.eml", "x.mbox/4.eml"]
    assert contents["x.mbox/1.eml"] == b"Subject: 1\n\n"
    assert contents["x.mbox/3.eml"] == b"\xff\xfe no header\nFrom here no separator\n\n"


def test_bomb_is_refused_while_it_is_unpacked(tmp_path: Path) -> None:
    bomb = [("bomb.txt", bytes(20 * LIMIT))]
    for path in (make_zip(tmp_path / "a.zip", *bomb), make_tar(tmp_path / "a.tgz", "w:gz", *bomb)):
        (document,) = discover([str(path)])
        with pytest.raises(DocumentTooLarge):
            read_document(document.uri, document.source, LIMIT)


def test_sizes_claimed_by_a_directory_are_not_believed(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", ("a.txt", bytes(2 * LIMIT)))
    raw = path.read_bytes()
    path.write_bytes(raw.replace((2 * LIMIT).to_bytes(4, "little"), (5).to_bytes(4, "little")))
    (document,) = discover([str(path)])
    assert document.size_bytes == 5
    with pytest.raises(DocumentError):
        read_document(document.uri, document.source, LIMIT)


def test_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", ("a.txt", b"x"))
    raw = bytearray(path.read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(raw)
    (document,) = discover([str(path)])
    with pytest.raises(EncryptedDocument):
        read_document(document.uri, document.source, LIMIT)


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_damaged_archive_is_listed_and_gives_only_document_errors(tmp_path: Path, name: str) -> None:
    seed = int(os.environ.get("PERDURE_TEST_SEED", random.randrange(2**32)))
    print(f"PERDURE_TEST_SEED={seed}")
    chance = random.Random(seed)
    members = [(f"{number}.txt", chance.randbytes(500)) for number in range(8)]
    path = tmp_path / name
    whole = (
        make_zip(path, *members) if name == "a.zip" else make_tar(path, "w:gz" if "gz" in name else "w", *members)
    ).read_bytes()
    for _ in range(60):
        raw = bytearray(whole[: chance.randrange(len(whole))] if chance.random() < 0.5 else whole)
        for _ in range(chance.randrange(6)):
            if raw:
                raw[chance.randrange(len(raw))] = chance.randrange(256)
        path.write_bytes(raw)
        listed = list(discover([str(path)]))
        assert listed
        for document in listed:
            with contextlib.suppress(DocumentError):  # No other kind of error may be raised.
                read_document(document.uri, document.source, LIMIT)


def test_changed_and_vanished_members_are_recognised(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", ("a.txt", b"old"), ("b.txt", b"b"))
    (tmp_path / "b.mbox").write_bytes(b"From a\n1\n\nFrom b\n2\n")
    first, gone, _, message = discover([str(tmp_path)])
    make_zip(path, ("a.txt", b"new"))
    (tmp_path / "b.mbox").write_bytes(b"From a\n1\n")
    (changed, *_) = discover([str(path)])
    assert changed.uri == first.uri
    assert changed.version != first.version
    for lost in (gone, message):
        with pytest.raises(VanishedDocument):
            read_document(lost.uri, lost.source, LIMIT)
        assert content_hash(lost.uri) is None
    path.unlink()
    with pytest.raises(VanishedDocument):
        read_document(first.uri, uri_of(tmp_path), LIMIT)


def test_empty_member_and_empty_archive_have_their_reasons(tmp_path: Path) -> None:
    make_zip(tmp_path / "a.zip", ("a.txt", b""))
    make_zip(tmp_path / "b.zip")
    member, archive = discover([str(tmp_path)])
    assert archive.name == "b.zip"
    with pytest.raises(EmptyDocument):
        read_document(member.uri, member.source, LIMIT)


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz", "a.mbox"])
def test_members_are_read_right_in_any_order(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = int(os.environ.get("PERDURE_TEST_SEED", random.randrange(2**32)))
    print(f"PERDURE_TEST_SEED={seed}")
    chance = random.Random(seed)
    monkeypatch.setattr(mailbox, "MAX_REMEMBERED", 16)
    contents = [f"{number}\n".encode() * chance.randrange(1, 500) for number in range(100)]
    path = tmp_path / name
    if name == "a.zip":
        make_zip(path, *((f"{number}", content) for number, content in enumerate(contents)))
    elif name == "a.mbox":
        path.write_bytes(b"".join(b"From x\n" + content + b"\n" for content in contents))
        contents = [content + b"\n" for content in contents]
    else:
        members = ((f"{number}", content) for number, content in enumerate(contents))
        make_tar(path, "w:gz" if name == "a.tgz" else "w", *members)
    listed = list(enumerate(discover([str(path)])))
    assert len(listed) == 100
    chance.shuffle(listed)
    for number, document in listed:
        assert read_document(document.uri, document.source, LIMIT) == contents[number]
        assert _version_read(document) == document.version


@pytest.mark.parametrize("name", ["a.tar", "a.mbox"])
def test_opening_a_member_reads_little_of_the_others(tmp_path: Path, name: str) -> None:
    count = 300
    content = b"x" * 5000 + b"\n"
    path = tmp_path / name
    if name == "a.tar":
        make_tar(path, "w", *((f"{number}", content) for number in range(count)))
    else:
        path.write_bytes((b"From x\n" + content + b"\n") * count)
    listed = list(discover([str(path)]))
    read_document(listed[-1].uri, listed[-1].source, LIMIT)
    before = _bytes_read()
    for document in listed:
        read_document(document.uri, document.source, LIMIT)
    assert _bytes_read() - before < 20 * path.stat().st_size


def _version_read(document: DiscoveredDocument) -> str:
    opened = open_document(document.uri, document.source, LIMIT)
    opened.close()
    return opened.version


def _bytes_read() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.mbox"])
def test_container_replaced_by_a_pipe_is_refused_at_once(tmp_path: Path, name: str) -> None:
    make_zip(tmp_path / "a.zip", ("1", b"x"))
    make_tar(tmp_path / "a.tar", "w", ("1", b"x"))
    (tmp_path / "a.mbox").write_bytes(b"From a\n1\n")
    (document,) = discover([str(tmp_path / name)])
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(UnreadableDocument):
        read_document(document.uri, document.source, LIMIT)
    assert content_hash(document.uri) is None


def test_member_of_an_archive_can_be_a_source(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", ("x/a b.txt", b"one"), ("c.txt", b"two"))
    uri = f"zip+{uri_of(path)}!/x/a%20b.txt"
    check_source(uri)
    assert normalise_source(uri) == uri
    (document,) = discover([uri])
    assert (document.uri, document.source, document.name) == (uri, uri, "a.zip/x/a b.txt")
    assert read_document(document.uri, document.source, LIMIT) == b"one"
    with pytest.raises(SourceNotFound, match="There is no 'gone' in"):
        check_source(f"zip+{uri_of(path)}!/gone")
    with pytest.raises(SourceNotFound, match="no file or folder"):
        check_source(f"zip+{uri_of(tmp_path)}/gone.zip!/gone")
    make_zip(path, ("c.txt", b"two"))
    (document,) = discover([uri])
    with pytest.raises(VanishedDocument):
        read_document(document.uri, document.source, LIMIT)


def test_member_name_longer_than_any_path_is_refused(tmp_path: Path) -> None:
    for path in (make_zip(tmp_path / "a.zip", ("x" * 5000, b"")), make_tar(tmp_path / "a.tar", "w", ("x" * 5000, b""))):
        (document,) = discover([str(path)])
        assert document.name == path.name


def test_member_before_the_damage_is_read(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", "w", ("1", b"x" * 2000), ("2", b"y" * 2000))
    raw = path.read_bytes()
    listed = list(discover([str(path)]))
    path.write_bytes(raw[:3000] + b"?" * 5000)
    assert read_document(listed[0].uri, listed[0].source, LIMIT) == b"x" * 2000
    with pytest.raises(DamagedDocument):
        read_document(listed[1].uri, listed[1].source, LIMIT)


def test_replaced_container_is_read_anew(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", ("a.txt", b"old"))
    (document,) = discover([str(path)])
    assert read_document(document.uri, document.source, LIMIT) == b"old"
    make_zip(path, ("a.txt", b"new"))
    assert read_document(document.uri, document.source, LIMIT) == b"new"


def test_few_archives_stay_open(tmp_path: Path) -> None:
    listed = list(discover([str(make_zip(tmp_path / f"{number}.zip", ("a.txt", b"x"))) for number in range(12)]))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for document in listed:
        read_document(document.uri, document.source, LIMIT)
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= index_cache.MAX_INDEXES


def test_members_behind_a_damaged_header_are_not_lost_silently(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", "w", ("1", b"x" * 512), ("2", b"y"), ("3", b"z"))
    raw = bytearray(path.read_bytes())
    raw[1024:1536] = b"?" * 512
    path.write_bytes(raw)
    assert [document.name for document in discover([str(path)])] == ["a.tar/1", "a.tar"]
