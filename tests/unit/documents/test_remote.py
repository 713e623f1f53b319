"""Remote documents are bounded and have versions; errors concern the document or its server."""

import hashlib
import socket
from collections.abc import Iterator

import obstore
import pytest
from obstore.store import S3Store

from perdure.documents.discovery import check_source, discover, normalise_source
from perdure.documents.sources import content_hash, open_document, remote
from perdure.errors import (
    DependencyUnavailable,
    DocumentTooLarge,
    EmptyDocument,
    InvalidSource,
    SourceNotFound,
    UnreadableDocument,
    VanishedDocument,
)
from perdure.sandbox.confinement import filter_environment
from tests.s3_server import empty_bucket, s3_server
from tests.unit.documents.opening import read_document
from tests.unit.documents.web_server import Page, web_server

LIMIT = 1_000_000


@pytest.fixture(autouse=True)
def _without_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_MAX_RETRIES", 0)


@pytest.fixture
def pages() -> dict[str, Page]:
    """Return the pages that the web server serves; a test adds to them."""
    return {}


@pytest.fixture
def web(pages: dict[str, Page]) -> Iterator[str]:
    """Serve the pages and give the address."""
    with web_server(pages) as address:
        yield address


@pytest.fixture(scope="module")
def _s3_server() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def bucket(_s3_server: str, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    """Return an empty bucket `papers` of an object store."""
    return empty_bucket(_s3_server, monkeypatch)


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({"ETag": '"1"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}, 'etag "1"'),
        ({"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}, "modified 2015-10-21T07:28:00+00:00 size 5"),
        ({}, "modified unknown size 5"),
    ],
)
def test_web_document_has_the_version_of_its_server(
    web: str, pages: dict[str, Page], headers: dict[str, str], version: str
) -> None:
    pages["/x/a%20b.txt"] = Page(b"hello", headers=headers)
    check_source(f"{web}/x/a%20b.txt")
    (document,) = discover([f"{web}/x/a b.txt"])
    assert (document.uri, document.source) == (f"{web}/x/a%20b.txt",) * 2
    assert (document.name, document.size_bytes, document.version) == ("a b.txt", 5, version)
    opened = open_document(document.uri, document.source, LIMIT)
    opened.close()
    assert opened.version == version
    assert read_document(document.uri, document.source, LIMIT) == b"hello"
    assert content_hash(document.uri) == hashlib.sha256(b"hello").hexdigest()


def test_changed_and_vanished_web_documents_are_recognised(web: str, pages: dict[str, Page]) -> None:
    pages["/a"] = Page(b"old", headers={"ETag": '"1"'})
    (document,) = discover([f"{web}/a"])
    pages["/a"] = Page(b"new", headers={"ETag": '"2"'})
    opened = open_document(document.uri, document.source, LIMIT)
    opened.close()
    assert opened.version != document.version
    for status in (404, 410):
        pages["/a"] = Page(status=status)
        with pytest.raises(VanishedDocument):
            read_document(document.uri, document.source, LIMIT)
        assert content_hash(document.uri) is None
        (gone,) = discover([f"{web}/a"])
        assert gone.uri == document.uri
        with pytest.raises(SourceNotFound):
            check_source(f"{web}/a")


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_refusal_of_a_server_makes_the_source_unavailable(web: str, pages: dict[str, Page], status: int) -> None:
    pages["/a"] = Page(b"x", status=status)
    for failing in (
        lambda: read_document(f"{web}/a", f"{web}/a", LIMIT),
        lambda: list(discover([f"{web}/a"])),
        lambda: content_hash(f"{web}/a"),
    ):
        with pytest.raises(DependencyUnavailable):
            failing()
    with pytest.raises(InvalidSource) as caught:
        check_source(f"{web}/a")
    assert "\n" not in str(caught.value)


def test_silent_or_broken_server_makes_the_source_unavailable(
    web: str, pages: dict[str, Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    pages["/cut"] = Page(b"x" * 100, claimed=200)
    with pytest.raises(DependencyUnavailable):
        read_document(f"{web}/cut", f"{web}/cut", LIMIT)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(remote, "_REQUEST_SECONDS", 0.3)
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}/a"
        with pytest.raises(DependencyUnavailable):
            read_document(uri, uri, LIMIT)
    with pytest.raises(DependencyUnavailable):
        read_document(uri, uri, LIMIT)


def test_large_web_document_is_refused_before_it_is_downloaded(web: str, pages: dict[str, Page]) -> None:
    pages["/large"] = Page(b"the first bytes", claimed=LIMIT + 1)
    with pytest.raises(DocumentTooLarge):
        read_document(f"{web}/large", f"{web}/large", LIMIT)


def test_size_of_web_documents_is_bounded(web: str, pages: dict[str, Page]) -> None:
    pages["/large"] = Page(bytes(LIMIT + 1))
    pages["/empty"] = Page()
    pages["/unsized"] = Page(b"x", claimed=-1)
    for path, fault in (("large", DocumentTooLarge), ("empty", EmptyDocument), ("unsized", UnreadableDocument)):
        with pytest.raises(fault):
            read_document(f"{web}/{path}", f"{web}/{path}", LIMIT)


@pytest.mark.parametrize(
    "source", ["http://", "https://h", "https://u:p@h/x", "https://h/x?y=1", "https://h:x/y", "s3://", "https://h/%00"]
)
def test_unusable_address_is_refused_in_one_sentence(source: str) -> None:
    for refuse in (normalise_source, check_source):
        with pytest.raises(InvalidSource) as caught:
            refuse(source)
        assert str(caught.value).endswith(".")


def test_objects_below_a_prefix_are_documents_in_one_order(bucket: S3Store) -> None:
    keys = ["in/a b.txt", "in/x/1%.txt", "in/x/ü.txt", "in/z", "inner/no.txt"]
    for key in reversed(keys):
        obstore.put(bucket, key, key.encode())
    check_source("s3://papers/in")
    found = list(discover(["s3://papers/in"]))
    assert [document.name for document in found] == ["a b.txt", "x/1%.txt", "x/ü.txt", "z"]
    assert found[0].uri == "s3://papers/in/a%20b.txt"
    assert {document.source for document in found} == {"s3://papers/in"}
    assert [read_document(document.uri, document.source, LIMIT).decode() for document in found] == keys[:4]
    for document in found:
        opened = open_document(document.uri, document.source, LIMIT)
        opened.close()
        assert opened.version == document.version
    assert len(list(discover(["s3://papers"]))) == 5
    (single,) = discover(["s3://papers/in/z"])
    assert (single.uri, single.name) == ("s3://papers/in/z", "z")


def test_vanished_object_is_quarantined_but_a_lost_bucket_waits(bucket: S3Store) -> None:
    obstore.put(bucket, "a", b"old")
    (document,) = discover(["s3://papers/"])
    obstore.put(bucket, "a", b"new")
    opened = open_document(document.uri, document.source, LIMIT)
    opened.close()
    assert opened.version != document.version
    obstore.delete(bucket, "a")
    with pytest.raises(VanishedDocument):
        read_document(document.uri, document.source, LIMIT)
    with pytest.raises(SourceNotFound, match="no documents"):
        check_source("s3://papers/")
    with pytest.raises(DependencyUnavailable):
        read_document("s3://gone/a", "s3://gone/", LIMIT)
    with pytest.raises(DependencyUnavailable):
        list(discover(["s3://gone/"]))


def test_parser_never_gets_credentials() -> None:
    assert (
        filter_environment(dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"), "x")) == {}
    )
