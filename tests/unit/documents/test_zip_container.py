"""A container that unpacks to too much is refused before a parser unpacks it."""

import io
import random
import zipfile

import pytest

from perdure.documents.extraction import zip_container
from perdure.documents.extraction.zip_container import check_container
from perdure.errors import DamagedDocument, DocumentTooLarge

SIZE = 100_000


def make_container(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", content)
    return out.getvalue()


def test_container_that_unpacks_to_more_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = make_container(random.Random(1).randbytes(SIZE))
    check_container(content)
    monkeypatch.setattr(zip_container, "MAX_UNPACKED_BYTES", SIZE)
    check_container(content)
    monkeypatch.setattr(zip_container, "MAX_UNPACKED_BYTES", SIZE - 1)
    with pytest.raises(DocumentTooLarge):
        check_container(content)


def test_container_that_unpacks_to_very_many_times_its_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = make_container(bytes(SIZE))
    assert len(bomb) * zip_container.MAX_RATIO < SIZE
    check_container(bomb)  # little in all
    monkeypatch.setattr(zip_container, "RATIO_FROM_BYTES", SIZE // 2)
    check_container(make_container(random.Random(1).randbytes(SIZE)))
    with pytest.raises(DocumentTooLarge):
        check_container(bomb)


def test_cut_off_container_is_damaged() -> None:
    with pytest.raises(DamagedDocument):
        check_container(make_container(b"x")[:-30])
