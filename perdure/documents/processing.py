"""From an open file to a `ProcessedDocument`: a pure function of the file's bytes, its name and this code.

The heavy libraries are imported when the first document is processed, or by `warm_up`: the worker's own process
imports this module and never needs them.
"""

import hashlib
import math
from typing import TYPE_CHECKING, Any

from perdure.documents import formats
from perdure.documents.citation import locate
from perdure.documents.document import ProcessedDocument
from perdure.documents.opened import content_of
from perdure.documents.sniffing import sniff
from perdure.errors import DamagedDocument, DependencyUnavailable, DocumentError, ParserCrashed, ParserOutOfMemory
from perdure.sandbox.limits import AllowCpu, Limits
from perdure.sandbox.parts import Parts, current

if TYPE_CHECKING:
    from perdure.documents.extraction import Extracted, ReadPicture
    from perdure.documents.extraction.ocr import Ocr

MAX_TITLE_CHARACTERS = 500
PAGE_CPU_SECONDS = 60.0
"""For the OCR of one page; a dense one takes three."""
_LONE_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "�")
_UNSTORABLE = str.maketrans({**_LONE_SURROGATES, 0: " "})


def process_document(
    uri: str,  # noqa: ARG001 - for those who wrap this
    name: str,
    descriptor: int,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    allow_cpu: AllowCpu = lambda _: None,
    ocr: "Ocr | None" = None,
) -> ProcessedDocument:
    """Read, sniff, extract, chunk, recognise, embed, score.

    Args:
        uri: of the document; nothing is opened by it.
        name: as people call it; only its extension matters, and only between kinds of plain text.
        descriptor: of the document's bytes, seekable; stays open.
        limits: on size here; on time and memory by whoever runs this in isolation.
        allow_cpu: told at the beginning of each stage how many CPU seconds it may take.
        ocr: reads the pages that are pictures, if it was asked for.

    Raises:
        DocumentError: the document's own fault.
        DependencyUnavailable: the disk's.
    """
    from perdure.analysis.chunking import chunk  # noqa: PLC0415 - heavy
    from perdure.analysis.embeddings import WordLlamaEmbedder  # noqa: PLC0415 - heavy
    from perdure.analysis.mentions import mentions  # noqa: PLC0415 - heavy
    from perdure.analysis.resumable_mentions import SliceBySlice  # noqa: PLC0415 - heavy
    from perdure.documents.extraction.metadata import metadata_of  # noqa: PLC0415 - heavy
    from perdure.documents.extraction.structure import bounded_sections, bounded_tables  # noqa: PLC0415 - heavy
    from perdure.documents.quality import quality_score  # noqa: PLC0415 - heavy

    allow_cpu(limits.extraction_cpu_seconds)
    try:
        content = content_of(descriptor, limits.max_file_bytes)
    except OSError as error:
        raise DependencyUnavailable("the disk", str(error.strerror or error).lower()) from error
    sha256, parts = hashlib.sha256(content).hexdigest(), current()
    parts.begin(f"{sha256} {ocr}")
    media_type, extracted = _extracted(content, name, limits, _picture_reader(ocr, limits, allow_cpu), parts)
    text = storable(extracted.text)
    allow_cpu(limits.analysis_seconds(len(text)))
    chunks = chunk(text)

    def said(done: int) -> str:
        page = locate(max(0, done - 1), extracted.page_offsets, ()).page
        return f"names on page {page} of {len(extracted.page_offsets)}" if page else f"names in {done:,} characters"

    metadata = metadata_of(storable(extracted.properties), text)
    return ProcessedDocument(
        sha256=sha256,
        size_bytes=len(content),
        media_type=media_type,
        text=text,
        title=_title(extracted.title),
        page_offsets=extracted.page_offsets,
        properties=storable(extracted.properties),
        chunks=chunks,
        embeddings=WordLlamaEmbedder().embed([text[one.start : one.end] for one in chunks]),
        mentions=mentions(text, SliceBySlice(parts, said)),
        quality_score=quality_score(extracted),
        warnings=tuple(storable(warning) for warning in extracted.warnings),
        sections=bounded_sections(extracted.sections, storable),
        tables=bounded_tables(extracted.tables, storable),
        authors=metadata.authors,
        created=metadata.created,
        modified=metadata.modified,
        language=metadata.language,
    )


def _picture_reader(ocr: "Ocr | None", limits: Limits, allow_cpu: AllowCpu) -> "ReadPicture | None":
    """OCR with time of its own for each page, and after it as much as ever for the pages that follow."""
    if ocr is None:
        return None

    def read(page: Any) -> str:
        allow_cpu(PAGE_CPU_SECONDS)
        text = ocr.read(page)
        allow_cpu(limits.extraction_cpu_seconds)
        return text

    return read


def _extracted(
    content: bytes, name: str, limits: Limits, read_picture: "ReadPicture | None", parts: Parts
) -> "tuple[str, Extracted]":
    """Media type and what its extractor found; every error that a hostile file can provoke becomes a reason."""
    from perdure.documents.extraction import extract  # noqa: PLC0415 - heavy

    try:
        media_type = sniff(content, name)
        return media_type, extract(content, media_type, read_picture, parts)
    except DocumentError as error:
        raise type(error)(storable(str(error))) from error
    except RecursionError as error:
        raise DamagedDocument("The document is nested beyond any sense.") from error
    except MemoryError as error:
        limit = limits.memory_bytes // 2**20
        raise ParserOutOfMemory(f"The parser needed more than its limit of {limit} MB of memory.") from error
    except Exception as error:
        raise ParserCrashed(f"The parser failed with an unexpected error ({type(error).__name__}).") from error


def warm_up() -> None:
    """Load every library and model, so that the first document does not wait for them."""
    from perdure.analysis.chunking import chunk  # noqa: PLC0415 - heavy
    from perdure.analysis.embeddings import WordLlamaEmbedder  # noqa: PLC0415 - heavy
    from perdure.analysis.mentions import mentions  # noqa: PLC0415 - heavy
    from perdure.documents.extraction import metadata  # noqa: F401, PLC0415 - heavy

    formats.warm_up()
    sample = "Ada Lovelace met Charles Babbage in London on 5 June 1833."
    chunk(sample)
    mentions(sample)
    WordLlamaEmbedder().embed([sample])


def storable(value: Any) -> Any:
    """The same JSON value without what Postgres cannot store: NUL, lone surrogates, NaN; texts keep their length."""
    if isinstance(value, str):
        return value.translate(_UNSTORABLE)
    if isinstance(value, dict):
        return {storable(str(key)): storable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [storable(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, int | float | bool) or value is None else storable(str(value))


def _title(title: str | None) -> str | None:
    """On one line, of a bearable length; None if nothing is left."""
    return " ".join(storable(title or "").split())[:MAX_TITLE_CHARACTERS] or None
