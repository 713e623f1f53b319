"""Processes one document, from an open file to a `ProcessedDocument`.

The result is a pure function of the file's bytes, its name and this code. The first document imports the heavy
libraries, unless `perdure.documents.warm_up` has imported them: the worker imports this module and never needs them.
"""

import hashlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from perdure.documents.citation import locate
from perdure.documents.document import ProcessedDocument
from perdure.documents.limits import Limits
from perdure.documents.opened import content_of
from perdure.documents.sniffing import sniff
from perdure.errors import DamagedDocument, DependencyUnavailable, DocumentError, ParserCrashed, ParserOutOfMemory
from perdure.sandbox.job import AllowCpu
from perdure.sandbox.limits import MEGABYTE
from perdure.sandbox.parts import Parts, current_parts

if TYPE_CHECKING:
    from perdure.documents.extraction import Extracted, ReadPicture
    from perdure.documents.extraction.ocr import Ocr

ProcessFunction = Callable[[str, str, int, Limits, AllowCpu], ProcessedDocument]
"""Takes URI, name, descriptor of the content, limits and `AllowCpu`, as `process_document` does."""

MAX_TITLE_CHARACTERS = 500
PAGE_CPU_SECONDS = 60.0
"""CPU time for the OCR of one page. A dense page takes three seconds."""
_LONE_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "�")
_UNSTORABLE = str.maketrans({**_LONE_SURROGATES, 0: " "})


def process_within(
    process: ProcessFunction, limits: Limits, uri: str, name: str, descriptor: int, allow_cpu: AllowCpu
) -> ProcessedDocument:
    """Call `process` with its limits.

    With its first two arguments bound, this function is a `perdure.sandbox.job.Parser`.
    """
    return process(uri, name, descriptor, limits, allow_cpu)


def process_document(
    uri: str,  # noqa: ARG001 - functions that wrap this one need it
    name: str,
    descriptor: int,
    limits: Limits = Limits(),  # noqa: B008 - the default is frozen
    allow_cpu: AllowCpu = lambda _: None,
    ocr: "Ocr | None" = None,
) -> ProcessedDocument:
    """Return the text of a document, its structure, and the analysis of its text.

    Args:
        uri: uri of the document; it is not opened.
        name: path within the source. Only its extension matters, and only between kinds of plain text.
        descriptor: descriptor of the document's bytes, seekable; stays open.
        limits: this function checks the size, and passes CPU times to `allow_cpu`; the pool enforces the others.
        allow_cpu: called at the start of each stage with the CPU seconds that the stage may take.
        ocr: reads the pages that are pictures; None leaves them unread.

    Raises:
        DocumentError: the document cannot be processed.
        DependencyUnavailable: the disk failed.
    """
    from perdure.analysis.chunking import chunk  # noqa: PLC0415 - heavy
    from perdure.analysis.embeddings import WordLlamaEmbedder  # noqa: PLC0415 - heavy
    from perdure.analysis.mentions import find_mentions  # noqa: PLC0415 - heavy
    from perdure.analysis.resumable_recogniser import ResumableRecogniser  # noqa: PLC0415 - heavy
    from perdure.documents.extraction.metadata import metadata_of  # noqa: PLC0415 - heavy
    from perdure.documents.extraction.structure import bounded_sections, bounded_tables  # noqa: PLC0415 - heavy
    from perdure.documents.quality import quality_score  # noqa: PLC0415 - heavy

    allow_cpu(limits.extraction_cpu_seconds)
    try:
        content = content_of(descriptor, limits.max_file_bytes)
    except OSError as error:
        raise DependencyUnavailable("the disk", str(error.strerror or error).lower()) from error
    sha256 = hashlib.sha256(content).hexdigest()
    parts = current_parts()
    parts.begin(f"{sha256} {ocr}")
    media_type, extracted = _extract(content, name, limits, _make_picture_reader(ocr, limits, allow_cpu), parts)
    text = storable(extracted.text)
    allow_cpu(limits.analysis_seconds(len(text)))
    chunks = chunk(text)

    def describe(end: int) -> str:
        page = locate(max(0, end - 1), extracted.page_offsets, ()).page
        return f"names on page {page} of {len(extracted.page_offsets)}" if page else f"names in {end:,} characters"

    metadata = metadata_of(storable(extracted.properties), text)
    return ProcessedDocument(
        sha256=sha256,
        size_bytes=len(content),
        media_type=media_type,
        text=text,
        title=_clean_title(extracted.title),
        page_offsets=extracted.page_offsets,
        properties=storable(extracted.properties),
        chunks=chunks,
        embeddings=WordLlamaEmbedder().embed([text[each.start : each.end] for each in chunks]),
        mentions=find_mentions(text, ResumableRecogniser(parts, describe)),
        quality_score=quality_score(extracted),
        warnings=tuple(storable(warning) for warning in extracted.warnings),
        sections=bounded_sections(extracted.sections, storable),
        tables=bounded_tables(extracted.tables, storable),
        authors=metadata.authors,
        created=metadata.created,
        modified=metadata.modified,
        language=metadata.language,
    )


def _make_picture_reader(ocr: "Ocr | None", limits: Limits, allow_cpu: AllowCpu) -> "ReadPicture | None":
    """Return a function that allows CPU time for a page and reads it; None without OCR."""
    if ocr is None:
        return None

    def read(page: Any) -> str:
        allow_cpu(PAGE_CPU_SECONDS)
        text = ocr.read(page)
        allow_cpu(limits.extraction_cpu_seconds)  # for the pages that follow
        return text

    return read


def _extract(
    content: bytes, name: str, limits: Limits, read_picture: "ReadPicture | None", parts: Parts
) -> "tuple[str, Extracted]":
    """Return media type and extracted content; any exception becomes a `DocumentError`."""
    from perdure.documents.extraction import extract  # noqa: PLC0415 - heavy

    try:
        media_type = sniff(content, name)
        return media_type, extract(content, media_type, read_picture, parts)
    except DocumentError as error:
        raise type(error)(storable(str(error))) from error
    except RecursionError as error:
        raise DamagedDocument("The document is nested too deeply to be read.") from error
    except MemoryError as error:
        limit = limits.memory_bytes // MEGABYTE
        raise ParserOutOfMemory(f"The parser needed more than its limit of {limit} MB of memory.") from error
    except Exception as error:
        raise ParserCrashed(f"The parser failed with an unexpected error ({type(error).__name__}).") from error


def storable(value: Any) -> Any:
    """Return the JSON value without NUL, lone surrogates and NaN, which Postgres cannot store.

    Texts keep their length.
    """
    if isinstance(value, str):
        return value.translate(_UNSTORABLE)
    if isinstance(value, dict):
        return {storable(str(key)): storable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [storable(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, int | float | bool) or value is None else storable(str(value))


def _clean_title(title: str | None) -> str | None:
    """Return the title on one line, cut to `MAX_TITLE_CHARACTERS`; None if it is empty."""
    return " ".join(storable(title or "").split())[:MAX_TITLE_CHARACTERS] or None
