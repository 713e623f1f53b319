"""Every file ends with a result or a reason, and the same bytes give the same result."""

import asyncio
import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.documents.addresses import uri_of
from perdure.documents.answers import ProcessedDocumentCodec
from perdure.documents.discovery import discover
from perdure.documents.document import DiscoveredDocument, ProcessedDocument
from perdure.documents.limits import Limits
from perdure.documents.pool import open_document_pool
from perdure.documents.processing import storable
from perdure.errors import DocumentError, ParserFailure
from tests.unit.documents import made_documents as made
from tests.unit.documents.opening import processed_here, read_document

LIMITS = Limits(extraction_cpu_seconds=10, wall_seconds=120)
STORABLE_JSON = (str, int, float, bool, list, dict, type(None))


def _fill(folder: Path, files: dict[str, bytes]) -> list[DiscoveredDocument]:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return list(discover([str(folder)]))


def check_result(content: bytes, result: ProcessedDocument) -> None:
    assert result.sha256 == hashlib.sha256(content).hexdigest()
    assert result.size_bytes == len(content)
    assert 0 < result.quality_score <= 1
    assert result.text.strip()
    assert list(result.page_offsets) == sorted(result.page_offsets)
    assert all(0 <= offset <= len(result.text) for offset in result.page_offsets)
    assert result.embeddings.shape[0] == len(result.chunks) > 0
    assert all(result.text[mention.start : mention.end] == mention.surface for mention in result.mentions)
    for text in (result.text, result.title or "", str(result.properties), *result.warnings):
        assert "\0" not in text
        text.encode()  # no lone surrogate
    assert all(warning.endswith(".") for warning in result.warnings)
    assert all(isinstance(value, STORABLE_JSON) for value in result.properties.values())


def _bytes(document: DiscoveredDocument) -> bytes:
    return read_document(document.uri, document.source, Limits().max_file_bytes)


def check_reason(error: DocumentError) -> None:
    reason = str(error)
    assert reason.endswith(".")
    assert reason[0].isupper()
    assert "\n" not in reason
    assert len(reason) < 300
    for word in ("Traceback", "/tmp", "0x", "Error("):
        assert word not in reason


async def process_all(
    documents: list[DiscoveredDocument], limits: Limits
) -> dict[str, ProcessedDocument | DocumentError]:
    """Process documents in a pool of two, and check the pool and each result or reason."""
    pool = open_document_pool(2, limits)
    pool.start()

    async def process(document: DiscoveredDocument) -> ProcessedDocument | DocumentError:
        try:
            return (await pool.process(document.uri, document.name, document.source)).document
        except DocumentError as error:
            return error

    try:
        results = await asyncio.gather(*map(process, documents))
        assert {child.server for child in pool._idle} == {pool._server}  # no fork server was replaced
    finally:
        await pool.aclose()
    for document, result in zip(documents, results, strict=True):
        try:
            if isinstance(result, DocumentError):
                check_reason(result)
            else:
                check_result(_bytes(document), result)
        except AssertionError as error:
            raise AssertionError(f"{document.name}: {str(result)[:500]}") from error
    return {document.name: result for document, result in zip(documents, results, strict=True)}


async def test_hostile_file_ends_with_a_result_or_a_reason(tmp_path: Path) -> None:
    documents = _fill(tmp_path, made.make_hostile_documents())
    results = await process_all(documents, LIMITS)
    kinds = {name: type(result).__name__ for name, result in results.items()}
    for name in ("encrypted.xlsx", "encrypted.doc", "encrypted.xls", "encrypted.pdf"):
        assert kinds[name] == "EncryptedDocument"
    assert kinds["bomb.docx"] == "DocumentTooLarge"
    assert kinds["images.pdf"] == kinds["spaces.txt"] == "NoTextExtracted"
    assert kinds["binary.html"] == kinds["picture.txt"] == "UnsupportedFormat"
    assert kinds["archive.zip/a.txt"] in ("ProcessedDocument", "NoTextExtracted")
    assert kinds["unbroken.txt"] == kinds["deep.html"] == kinds["surrogates.json"] == "ProcessedDocument"
    assert not [result for result in results.values() if isinstance(result, ParserFailure)]


async def test_pool_and_plain_loop_give_identical_results(tmp_path: Path) -> None:
    documents = _fill(
        tmp_path,
        {
            "a.pdf": made.make_pdf("Clara Whitfield paid £12 to Acme Ltd."),
            "b.docx": made.make_word(),
            "c.eml": made.make_mail("Hi Bo"),
            "d.pptx": made.make_slides("London"),
            "e.xlsx": made.make_workbook(Sheet=[["Acme Ltd", 3]]),
        },
    )
    pooled = await process_all(documents, LIMITS)
    for document in documents:
        result = processed_here(document.uri, document.name, document.source)
        assert pickle.dumps(_comparable(result)) == pickle.dumps(_comparable(pooled[document.name]))


def _comparable(result: object) -> object:
    assert isinstance(result, ProcessedDocument)
    return repr(result), result.embeddings.tobytes()


def test_unstorable_characters_are_replaced_one_for_one() -> None:
    text = "a\0b\ud800c\udfffd"
    assert storable(text) == "a b\ufffdc\ufffdd"
    assert len(storable(text)) == len(text)
    value = {"k\0": [text, 1, 2.5, None, True, float("nan"), object]}
    stored = storable(value)["k "]
    assert stored[:6] == ["a b\ufffdc\ufffdd", 1, 2.5, None, True, None]


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_storable_value_holds_no_nul_and_no_lone_surrogate(value: object) -> None:
    assert "\0" not in str(storable(value))
    str(storable("\ud800 and \0")).encode()


def test_encoded_result_is_not_much_larger_than_its_file(tmp_path: Path) -> None:
    (document,) = _fill(tmp_path, {"a.txt": b"Clara Whitfield lives in London. " * 500})
    result = processed_here(document.uri, document.name, uri_of(tmp_path))
    assert isinstance(result.embeddings, np.ndarray)
    assert len(ProcessedDocumentCodec().encode(result)) < 20 * result.size_bytes


@pytest.mark.corpus
async def test_hostile_files_of_the_corpus_end(corpus: Path) -> None:
    documents = list(discover([str(corpus / "hostile")]))
    assert documents
    await process_all(documents, LIMITS)


@pytest.mark.corpus
@pytest.mark.timeout(600)
async def test_ordinary_documents_of_every_type_are_processed(corpus: Path) -> None:
    by_type: dict[str, list[DiscoveredDocument]] = {}
    for document in discover([str(corpus / "ordinary")]):
        if document.size_bytes < 100_000:
            by_type.setdefault(document.name.split("/")[0], []).append(document)
    assert len(by_type) >= 10
    chosen = [document for documents in by_type.values() for document in documents[:6]]
    results = await process_all(chosen, LIMITS)
    failed = {name: result for name, result in results.items() if isinstance(result, DocumentError)}
    print(*(f"{name}: {type(error).__name__}: {error}" for name, error in failed.items()), sep="\n")
    assert len(failed) < len(chosen) / 5
    assert not [error for error in failed.values() if isinstance(error, ParserFailure)]
