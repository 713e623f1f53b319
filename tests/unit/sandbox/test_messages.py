"""Failures and parts survive the way from a child to the pool."""

import struct

import pytest

from perdure import errors
from perdure.errors import DependencyUnavailable, DocumentError
from perdure.sandbox.messages import decode_failure, decode_parts, encode_failure, encode_parts


def _subclasses(kind: type[DocumentError]) -> list[type[DocumentError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _subclasses(child))]


KINDS = [kind for kind in _subclasses(DocumentError) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", KINDS)
def test_failure_keeps_its_class_and_its_reason(kind: type[DocumentError]) -> None:
    decoded = decode_failure(encode_failure(kind("A reason.")))
    assert (type(decoded), str(decoded)) == (kind, "A reason.")


def test_unavailable_dependency_keeps_its_name() -> None:
    decoded = decode_failure(encode_failure(DependencyUnavailable("Postgres", "no")))
    assert isinstance(decoded, DependencyUnavailable)
    assert (decoded.dependency, decoded.why) == ("Postgres", "no")


@pytest.mark.parametrize(
    "content",
    [b'["PerdureError", "x"]', b'["StaleWriter", "x"]', b'["Exception", "x"]', b'["DocumentError", 1]', b"[]"],
)
def test_only_failures_of_a_document_are_decoded(content: bytes) -> None:
    with pytest.raises((ValueError, AttributeError)):
        decode_failure(content)


@pytest.mark.parametrize(("progress", "parts"), [("page 1 of 3", b"\0part"), ("", b""), ("Größe \ud800", b"x")])
def test_parts_keep_their_bytes_and_their_progress(progress: str, parts: bytes) -> None:
    assert decode_parts(encode_parts(progress, parts)) == (progress.replace("\ud800", "?"), parts)


@pytest.mark.parametrize("content", [b"", b"\0\0\0", b"\0\0\0\x05text", b"\0\0\0\x01\xff"])
def test_parts_that_are_cut_off_are_refused(content: bytes) -> None:
    with pytest.raises((ValueError, struct.error)):
        decode_parts(content)
