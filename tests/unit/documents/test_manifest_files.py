"""Each line of a manifest becomes a document or a reason."""

import json
import os
from pathlib import Path

import pytest

from perdure.documents.addresses import uri_of
from perdure.documents.discovery import check_source, discover, normalise_source
from perdure.documents.sources import content_hash
from perdure.errors import DocumentError, InvalidSource, SourceNotFound, UnreadableDocument, VanishedDocument
from tests.unit.documents.opening import read_document
from tests.unit.documents.web_server import Page, web_server

LIMIT = 1000


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    """Return a folder with the documents that the manifests list."""
    (tmp_path / "sub").mkdir()
    for name in ("a.txt", "sub/b, c.txt", "d.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "x.mbox").write_bytes(b"From a\n1\n\nFrom b\n2\n")
    return tmp_path


def _reason(uri: str, source: str) -> str:
    with pytest.raises(DocumentError) as caught:
        read_document(uri, source, LIMIT)
    return f"{type(caught.value).__name__}: {caught.value}"


def test_line_of_json_is_a_document_or_has_a_reason(papers: Path) -> None:
    lines: list[bytes] = [
        b'\xef\xbb\xbf"a.txt"',
        json.dumps({"uri": "sub/b, c.txt", "more": 1}).encode(),
        b"",
        json.dumps(uri_of(papers / "d.txt")).encode(),
        json.dumps(f"mbox+{uri_of(papers / 'x.mbox')}!/2").encode(),
        b'"gone.txt"',
        json.dumps(f"zip+{uri_of(papers / 'gone.zip')}!/2").encode(),
        b"{",
        b"[" * 20_000,
        b'{"url": "a"}',
        b"12",
        b'"\\ud800"',
        b'"http://\\ud800/x"',
        b'"ftp://host/x"',
        b'"a\\u0000b"',
        b'"sub"',
        b"\xff",
        b"x" * 200_000,
        json.dumps("n" * 5000).encode(),
        b'"a.txt"',
    ]
    manifest = papers / "list.jsonl"
    manifest.write_bytes(b"\n".join(lines))
    source = normalise_source(f"manifest:{manifest}")
    check_source(source)
    listed = list(discover([source]))
    assert {document.source for document in listed} == {source} == {normalise_source(source)}
    readable = [*listed[:4], listed[-1]]
    contents = [b"a.txt", b"sub/b, c.txt", b"d.txt", b"2\n", b"a.txt"]
    assert [read_document(document.uri, source, LIMIT) for document in readable] == contents
    reasons = [_reason(document.uri, source) for document in listed[4:-1]]
    gone = "VanishedDocument: The file was there at discovery and is gone."
    assert reasons[:2] == [gone, gone]
    assert [reason.split(": ")[1] for reason in reasons[2:-1]] == [
        "Line 8 of the manifest is no JSON.",
        "Line 9 of the manifest holds too much besides a uri.",
        "Line 10 of the manifest has no uri.",
        "Line 11 of the manifest has no uri.",
        "Line 12 of the manifest names nothing that can be a document.",
        "Line 13 of the manifest names nothing that can be a document.",
        "Line 14 of the manifest names nothing that can be a document.",
        "Line 15 of the manifest names nothing that can be a document.",
        "Line 16 of the manifest names a folder, not a document.",
        "Line 17 of the manifest is no UTF-8.",
        "Line 18 of the manifest is longer than 64 KB.",
    ]
    for document in listed:
        assert document.uri.isascii()
        content_hash(document.uri)


@pytest.mark.parametrize("head", [b"", b"id,URI \n", b"uri\n"])
def test_line_of_a_csv_is_a_document_or_has_a_reason(papers: Path, head: bytes) -> None:
    first = b"7," if head.startswith(b"id") else b""
    manifest = papers / "list.csv"
    manifest.write_bytes(head + first + b"a.txt\r\n\r\n" + first + b'"sub/b, c.txt",x\n' + first[:-1] + b'\n"\n')
    listed = list(discover([f"manifest:{manifest}"]))
    assert [document.name for document in listed][:2] == ["a.txt", "b, c.txt"]
    assert read_document(listed[1].uri, listed[1].source, LIMIT) == b"sub/b, c.txt"
    for line in listed[2:]:
        with pytest.raises(UnreadableDocument, match=r"^Line \d of the manifest has no uri\.$"):
            read_document(line.uri, line.source, LIMIT)


def test_vanished_document_of_a_manifest_stays_listed(papers: Path) -> None:
    manifest = papers / "list.jsonl"
    manifest.write_text('"a.txt"\n"sub/b, c.txt"\n')
    source = normalise_source(f"manifest:{manifest}")
    first, _ = discover([source])
    (papers / "a.txt").unlink()
    with pytest.raises(VanishedDocument):
        read_document(first.uri, source, LIMIT)
    again, _ = discover([source])
    assert again.uri == first.uri


def test_manifest_may_list_web_addresses(papers: Path) -> None:
    with web_server({"/a": Page(b"web", headers={"ETag": '"1"'})}) as web:
        (papers / "list.jsonl").write_text(f'"{web}/a"\n"{web}/gone"\n"{web}/?"\n')
        listed = list(discover([f"manifest:{papers}/list.jsonl"]))
        assert listed[0].version == 'etag "1"'
        assert read_document(listed[0].uri, listed[0].source, LIMIT) == b"web"
        reasons = [_reason(document.uri, document.source).split(":")[0] for document in listed[1:]]
        assert reasons == ["VanishedDocument", "UnreadableDocument"]


def test_unusable_manifest_is_refused(papers: Path) -> None:
    (papers / "empty.csv").write_text("uri\n\n")
    os.mkfifo(papers / "pipe.csv")
    for name, error, why in (
        ("empty.csv", InvalidSource, "lists no documents"),
        ("pipe.csv", InvalidSource, "cannot be read"),
        ("gone.csv", SourceNotFound, "There is no manifest"),
        ("a.txt", InvalidSource, "ends in .jsonl or .csv"),
    ):
        with pytest.raises(error, match=why):
            check_source(f"manifest:{papers / name}")
