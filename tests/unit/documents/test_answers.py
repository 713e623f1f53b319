"""The worker decodes only a processed document, and runs no code that a child's bytes name."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from perdure.analysis.annotations import EMBEDDING_DIMENSIONS, Chunk, Mention
from perdure.documents.answers import ProcessedDocumentCodec
from perdure.documents.document import ProcessedDocument, Section, Table
from tests.unit.documents.hostile_answers import ANSWERS, MARKER


def a_document() -> ProcessedDocument:
    """A document that has every kind of value."""
    return ProcessedDocument(
        sha256="0" * 64,
        size_bytes=11,
        media_type="text/plain",
        text="Ada met Bo.",
        title=None,
        page_offsets=(0,),
        properties={"pages": 1, "score": 0.5, "nested": {"list": [True, None, "text"]}},
        chunks=(Chunk(0, 11),),
        embeddings=np.ones((1, EMBEDDING_DIMENSIONS), np.float32),
        mentions=(Mention(0, 3, "person", "Ada", "ada", 0.75),),
        quality_score=0.9,
        warnings=("A warning.",),
        sections=(Section(0, 1, "Heading"),),
        tables=(Table(0, 11, (("cell",),), page=1),),
        authors=("Ada",),
        created="2024-01-01",
        language="en",
    )


def test_processed_document_is_decoded_as_it_was_encoded() -> None:
    codec = ProcessedDocumentCodec()
    document = a_document()
    decoded = codec.decode(bytearray(codec.encode(document)))
    assert repr(decoded) == repr(document)
    assert decoded.embeddings.tobytes() == document.embeddings.tobytes()
    assert decoded.embeddings.dtype == np.float32


def test_embeddings_of_any_layout_are_decoded() -> None:
    vectors = np.ones((3, 2 * EMBEDDING_DIMENSIONS), np.float32)[::2, ::2]
    codec = ProcessedDocumentCodec()
    decoded = codec.decode(codec.encode(replace(a_document(), embeddings=vectors)))
    assert np.array_equal(decoded.embeddings, vectors)


@pytest.mark.parametrize("answer", ANSWERS)
def test_other_answers_are_refused_and_run_nothing(answer: str) -> None:
    with pytest.raises((pickle.UnpicklingError, TypeError, EOFError)):
        ProcessedDocumentCodec().decode(ANSWERS[answer])
    assert not Path(MARKER).exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("perdure.documents.document", "DiscoveredDocument"),
        ("perdure.documents.document", "dataclass"),
        ("perdure.analysis.annotations", "dataclass"),
        ("numpy", "fromfile"),
        ("numpy._core.multiarray", "fromfile"),
    ],
)
def test_no_other_class_or_function_is_loaded(module: str, name: str) -> None:
    content = b"\x80\x04" + b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name)) + b"\x93."
    with pytest.raises(pickle.UnpicklingError, match=name):
        ProcessedDocumentCodec().decode(content)
