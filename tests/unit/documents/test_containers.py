"""Each document inside an archive or a mailbox is one of its own, and no archive harms the worker."""

import contextlib
import io
import os
import random
import tarfile
import zipfile
from pathlib import Path

import pytest

from perdure.documents.addresses import uri_of
from perdure.documents.discovery import discover
from perdure.documents.sources import content_hash
from perdure.errors import DocumentError, DocumentTooLarge, EmptyDocument, EncryptedDocument, VanishedDocument
from tests.unit.documents.opening import read_document

LIMIT = 1_000_000


def _zip(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def _tar(path: Path, mode: str, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # modes are parameters here
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def _contents(source: Path) -> dict[str, bytes]:
    found = list(discover([str(source)]))
    assert len({one.uri for one in found}) == len(found)
    assert all(one.uri.isascii() for one in found)
    return {one.name: read_document(one.uri, one.source, LIMIT) for one in found}


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar.bz2", "w:bz2")]
)
def test_members_of_a_tar_are_documents(tmp_path: Path, name: str, mode: str) -> None:
    members = [("x/1.txt", b"one"), ("../../etc/passwd", b"two"), ("x/1.txt", b"three")]
    found = list(discover([str(_tar(tmp_path / name, mode, *members))]))
    assert [read_document(one.uri, one.source, LIMIT) for one in found] == [b"one", b"two", b"three"]
    assert len({one.uri for one in found}) == 3
    assert all(content_hash(one.uri) for one in found)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_a_zip_are_documents_whatever_they_are_called(tmp_path: Path) -> None:
    names = ["a.txt", "../../up.txt", "/root.txt", "ü !#?.txt", "a.txt"]
    _zip(tmp_path / "b!.zip", *((name, str(number).encode()) for number, name in enumerate(names)))
    found = list(discover([str(tmp_path)]))
    assert [read_document(one.uri, one.source, LIMIT) for one in found] == [b"0", b"1", b"2", b"3", b"4"]
    assert [one.name for one in found] == [f"b!.zip/{name}" for name in names]
    assert found[0].uri == f"zip+{uri_of(tmp_path)}/b%21.zip!/a.txt"
    assert [one.name for one in tmp_path.iterdir()] == ["b!.zip"]


def test_messages_of_a_mailbox_are_documents_broken_ones_too(tmp_path: Path) -> None:
    (tmp_path / "x.mbox").write_bytes(
        b"From a\nSubject: 1\n\nFrom within\nbody\n\nFrom b\n"
        b"\xff\xfe no header\nFrom here no separator\n\nFrom c\nSubject: 3\n"
    )
    contents = _contents(tmp_path)
    assert list(contents) == ["x.mbox/1.eml", "x.mbox/2.eml", "x.mbox/3.eml", "x.mbox/4.eml"]
    assert contents["x.mbox/1.eml"] == b"Subject: 1\n\n"
    assert contents["x.mbox/3.eml"] == b"\xff\xfe no header\nFrom here no separator\n\n"


def test_a_bomb_is_refused_while_it_unpacks(tmp_path: Path) -> None:
    bomb = [("bomb.txt", bytes(20 * LIMIT))]
    for path in (_zip(tmp_path / "a.zip", *bomb), _tar(tmp_path / "a.tgz", "w:gz", *bomb)):
        (document,) = discover([str(path)])
        with pytest.raises(DocumentTooLarge):
            read_document(document.uri, document.source, LIMIT)


def test_what_a_directory_claims_of_sizes_is_not_believed(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", ("a.txt", bytes(2 * LIMIT)))
    raw = path.read_bytes()
    path.write_bytes(raw.replace((2 * LIMIT).to_bytes(4, "little"), (5).to_bytes(4, "little")))
    (document,) = discover([str(path)])
    assert document.size_bytes == 5
    with pytest.raises(DocumentError):
        read_document(document.uri, document.source, LIMIT)


def test_an_encrypted_member_says_so(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", ("a.txt", b"x"))
    raw = bytearray(path.read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(raw)
    (document,) = discover([str(path)])
    with pytest.raises(EncryptedDocument):
        read_document(document.uri, document.source, LIMIT)


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_a_damaged_archive_is_never_unnoticed_and_never_more_than_a_documents_fault(tmp_path: Path, name: str) -> None:
    seed = int(os.environ.get("PERDURE_TEST_SEED", random.randrange(2**32)))
    print(f"PERDURE_TEST_SEED={seed}")
    chance = random.Random(seed)
    members = [(f"{number}.txt", chance.randbytes(500)) for number in range(8)]
    path = tmp_path / name
    whole = (
        _zip(path, *members) if name == "a.zip" else _tar(path, "w:gz" if "gz" in name else "w", *members)
    ).read_bytes()
    for _ in range(60):
        raw = bytearray(whole[: chance.randrange(len(whole))] if chance.random() < 0.5 else whole)
        for _ in range(chance.randrange(6)):
            if raw:
                raw[chance.randrange(len(raw))] = chance.randrange(256)
        path.write_bytes(raw)
        found = list(discover([str(path)]))
        assert found
        for document in found:
            with contextlib.suppress(DocumentError):  # and nothing else
                read_document(document.uri, document.source, LIMIT)


def test_what_changed_or_vanished_since_discovery_is_noticed(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", ("a.txt", b"old"), ("b.txt", b"b"))
    (tmp_path / "b.mbox").write_bytes(b"From a\n1\n\nFrom b\n2\n")
    first, gone, _, message = discover([str(tmp_path)])
    _zip(path, ("a.txt", b"new"))
    (tmp_path / "b.mbox").write_bytes(b"From a\n1\n")
    (now, *_) = discover([str(path)])
    assert now.uri == first.uri
    assert now.version != first.version
    for lost in (gone, message):
        with pytest.raises(VanishedDocument):
            read_document(lost.uri, lost.source, LIMIT)
        assert content_hash(lost.uri) is None
    path.unlink()
    with pytest.raises(VanishedDocument):
        read_document(first.uri, uri_of(tmp_path), LIMIT)


def test_an_empty_member_and_an_empty_archive_have_their_reasons(tmp_path: Path) -> None:
    _zip(tmp_path / "a.zip", ("a.txt", b""))
    _zip(tmp_path / "b.zip")
    member, archive = discover([str(tmp_path)])
    assert archive.name == "b.zip"
    with pytest.raises(EmptyDocument):
        read_document(member.uri, member.source, LIMIT)
