"""A document's bytes are counted as they come, and its reader can change none of them."""

import os
from collections.abc import Iterator

import pytest

from perdure.documents.opened import content_of, spool
from perdure.errors import DocumentTooLarge, EmptyDocument

LIMIT = 1000


def _yield_pieces(count: int) -> Iterator[bytes]:
    for number in range(count):
        assert number <= LIMIT // 100, "a piece beyond the limit was requested"
        yield bytes(100)


def test_no_piece_is_requested_beyond_the_limit() -> None:
    with pytest.raises(DocumentTooLarge):
        spool(_yield_pieces(10**6), lambda: "1", LIMIT)


def test_document_of_exactly_the_limit_is_spooled_and_read() -> None:
    opened = spool(_yield_pieces(LIMIT // 100), lambda: "1", LIMIT)
    try:
        assert (opened.size_bytes, opened.version) == (LIMIT, "1")
        os.lseek(opened.descriptor, 500, os.SEEK_SET)  # as an earlier attempt left it
        assert content_of(opened.descriptor, LIMIT) == bytes(LIMIT)
        with pytest.raises(DocumentTooLarge):
            content_of(opened.descriptor, LIMIT - 1)
    finally:
        opened.close()


def test_reader_of_a_spooled_document_cannot_write() -> None:
    opened = spool([b"x"], lambda: "1", LIMIT)
    try:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.pwrite(opened.descriptor, b"y", 0)
    finally:
        opened.close()


def test_document_without_bytes_is_empty() -> None:
    opened = spool([], lambda: "1", LIMIT)
    try:
        with pytest.raises(EmptyDocument):
            content_of(opened.descriptor, LIMIT)
    finally:
        opened.close()
