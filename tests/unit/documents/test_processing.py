"""Every file ends as a result or a reason; the same bytes give the same result, in every process."""

import asyncio
import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest

from perdure.documents.addresses import uri_of
from perdure.documents.discovery import discover
from perdure.documents.document import DiscoveredDocument, ProcessedDocument
from perdure.documents.processing import storable
from perdure.errors import DependencyUnavailable, DocumentError, ParserFailure
from perdure.sandbox.pool import IsolatedPool, Limits
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
    assert all(result.text[one.start : one.end] == one.surface for one in result.mentions)
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
    """Through a pool of two, checking each and that the pool is alive after all."""
    pool = IsolatedPool(2, limits)
    pool.start()

    async def one(document: DiscoveredDocument) -> ProcessedDocument | DocumentError:
        try:
            return (await pool.process(document.uri, document.name, document.source)).document
        except DocumentError as error:
            return error

    try:
        results = await asyncio.gather(*map(one, documents))
        assert len({child.server.pid for child in pool._idle}) == 1  # alive, and the same all along
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


async def test_what_attackers_and_accidents_send_ends_with_a_result_or_a_reason(tmp_path: Path) -> None:
    documents = _fill(tmp_path, made.hostile())
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


async def test_a_plain_loop_and_the_pool_agree_to_the_last_bit(tmp_path: Path) -> None:
    documents = _fill(
        tmp_path,
        {"a.pdf": made.pdf("Clara Whitfield paid £12 to Acme Ltd."), "b.docx": made.word(), "c.eml": made.mail("Hi Bo"),
         "d.pptx": made.slides("London"), "e.xlsx": made.workbook(Sheet=[["Acme Ltd", 3]])},
    )  # fmt: skip
    pooled = await process_all(documents, LIMITS)
    for document in documents:
        alone = processed_here(document.uri, document.name, document.source)
        assert pickle.dumps(_comparable(alone)) == pickle.dumps(_comparable(pooled[document.name]))


def _comparable(result: object) -> object:
    assert isinstance(result, ProcessedDocument)
    return repr(result), result.embeddings.tobytes()


def test_unstorable_characters_are_replaced_one_by_one() -> None:
    text = "a\0b\ud800c\udfffd"
    assert storable(text) == "a b\ufffdc\ufffdd"
    assert len(storable(text)) == len(text)
    value = {"k\0": [text, 1, 2.5, None, True, float("nan"), object]}
    kept = storable(value)["k "]
    assert kept[:6] == ["a b\ufffdc\ufffdd", 1, 2.5, None, True, None]


@pytest.mark.parametrize("kind", [*DocumentError.__subclasses__(), *ParserFailure.__subclasses__()])
def test_every_error_survives_the_way_out_of_the_child(kind: type[DocumentError]) -> None:
    error = kind("A reason.")
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back)) == (kind, "A reason.")
    away = pickle.loads(pickle.dumps(DependencyUnavailable("Postgres", "no")))
    assert (away.dependency, away.why) == ("Postgres", "no")


def test_a_result_is_cheap_to_send(tmp_path: Path) -> None:
    (document,) = _fill(tmp_path, {"a.txt": b"Clara Whitfield lives in London. " * 500})
    result = processed_here(document.uri, document.name, uri_of(tmp_path))
    assert isinstance(result.embeddings, np.ndarray)
    assert len(pickle.dumps(result, pickle.HIGHEST_PROTOCOL)) < 20 * result.size_bytes


@pytest.mark.corpus
async def test_every_hostile_file_of_the_corpus_ends(corpus: Path) -> None:
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
