"""Each attachment is a separate document beside its mail, and no mail harms the worker."""

import os
import random
import time
import zipfile
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from perdure.documents.addresses import uri_of
from perdure.documents.discovery import discover
from perdure.documents.sources import attachments, content_hash, open_document
from perdure.errors import DocumentError, EmptyDocument, VanishedDocument
from perdure.sandbox.limits import MEGABYTE
from tests.unit.documents.opening import read_document

LIMIT = 100_000


def _mail(*files: tuple[str, bytes], forwarded: EmailMessage | None = None) -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"] = "Papers"
    mail.set_content("See below.")
    for name, content in files:
        mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    if forwarded:
        mail.add_attachment(forwarded)
    return mail


def test_attachments_are_documents_besides_their_mail(tmp_path: Path) -> None:
    inner = _mail(("inner ü.txt", b"inner"))
    content = _mail(("../../a.txt", b"one"), ("a.txt", b"two"), ("a.txt", b""), forwarded=inner).as_bytes()
    (tmp_path / "a.eml").write_bytes(content)
    (tmp_path / "b.mbox").write_bytes(b"From a\n" + content + b"\n")
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("x/m.eml", content)
    listed = list(discover([str(tmp_path)]))
    names = ["", "/../../a.txt", "/a.txt", "/a.txt", "/inner ü.txt"]
    mails = ("a.eml", "b.mbox/1.eml", "c.zip/x/m.eml")
    assert [document.name for document in listed] == [f"{mail}{name}" for mail in mails for name in names]
    assert listed[1].uri == f"attachment+{uri_of(tmp_path)}/a.eml!/1"
    assert len({document.uri for document in listed}) == len(listed)
    for first in (0, 5, 10):
        for document, content in zip(listed[first + 1 : first + 5], (b"one", b"two", b"", b"inner"), strict=True):
            assert content_hash(document.uri)
            if not content:
                with pytest.raises(EmptyDocument):
                    read_document(document.uri, document.source, LIMIT)
                continue
            assert read_document(document.uri, document.source, LIMIT) == content
            opened = open_document(document.uri, document.source, LIMIT)
            opened.close()
            assert opened.version == document.version


def test_changed_and_vanished_attachments_are_recognised(tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(_mail(("a", b"old"), ("b", b"x")).as_bytes())
    _, first, second = discover([str(path)])
    path.write_bytes(_mail(("a", b"new")).as_bytes())
    opened = open_document(first.uri, first.source, LIMIT)
    opened.close()
    assert opened.version != first.version
    with pytest.raises(VanishedDocument):
        read_document(second.uri, second.source, LIMIT)
    assert content_hash(second.uri) is None
    (tmp_path / "other").touch()
    path.unlink()
    with pytest.raises(VanishedDocument):
        read_document(first.uri, uri_of(tmp_path), LIMIT)


def test_mail_is_taken_apart_within_bounds(tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(_mail(*((f"{number}", b"x") for number in range(150))).as_bytes())
    assert len(list(discover([str(path)]))) == attachments.MAX_ATTACHMENTS + 1
    deep = _mail(("a", b"x"))
    for _ in range(attachments.MAX_DEPTH):
        deep = _mail(forwarded=deep)
    nested = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n) for n in range(3000))
    for mail in (deep.as_bytes(), nested + b"\n".join([b"x"] * 500_000), bytes(attachments.MAX_MAIL_BYTES + 1)):
        path.write_bytes(mail)
        began = time.process_time()
        assert len(list(discover([str(path)]))) == 1
        assert time.process_time() - began < 20


def test_damaged_mail_gives_only_document_errors(tmp_path: Path) -> None:
    seed = int(os.environ.get("PERDURE_TEST_SEED", random.randrange(2**32)))
    print(f"PERDURE_TEST_SEED={seed}")
    chance = random.Random(seed)
    whole = _mail(("ä.txt", b"one" * 50), forwarded=_mail(("b", b"two"))).as_bytes()
    path = tmp_path / "a.eml"
    for _ in range(150):
        raw = bytearray(whole)
        for _ in range(chance.randrange(1, 30)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        path.write_bytes(raw)
        for document in discover([str(path)]):
            try:
                read_document(document.uri, document.source, LIMIT)
            except DocumentError:
                continue


def test_mail_of_very_many_parts_is_not_taken_apart(tmp_path: Path) -> None:
    mail = _mail(("a.txt", b"x"))
    for _ in range(250):
        mail.add_attachment(EmailMessage())
    (tmp_path / "a.eml").write_bytes(mail.as_bytes())
    (document,) = discover([str(tmp_path)])
    assert document.name == "a.eml"


def test_no_piece_of_a_large_mail_is_kept() -> None:
    read = 0

    def yield_pieces() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += MEGABYTE
            assert read <= attachments.MAX_MAIL_BYTES + MEGABYTE
            yield bytes(MEGABYTE)

    assert attachments.read_within_limit(yield_pieces()) == b""
