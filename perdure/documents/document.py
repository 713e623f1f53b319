"""The values that pass between discovery, processing and the store."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from perdure.analysis.annotations import Chunk, Mention

PROCESSING_VERSION = "2"
"""Version of the processing; raise it when the same bytes give another result.

A repeated run then processes the documents again.
"""


@dataclass(frozen=True, slots=True)
class DiscoveredDocument:
    """One entry of the manifest as discovery lists it, before the document is read."""

    uri: str
    """Absolute URI, percent-encoded; the document's identity within a run."""
    name: str
    """The name in reports: the path relative to its source, with forward slashes."""
    source: str
    """The source in which the document was found, as an absolute URI."""
    size_bytes: int
    version: str
    """Changes whenever the content may have changed. Of a file: size, time of modification, time of status change."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading. Its section ends at the next heading of the same or a higher level."""

    offset: int
    """The offset of the heading, in characters of the document's text."""
    level: int
    """1 for the highest."""
    heading: str
    """The words of the heading, on one line; never empty."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: `text[start:end]`, offsets in characters of the document's text, and its cells."""

    start: int
    end: int
    rows: tuple[tuple[str, ...], ...]
    """Cells from left to right, each on one line; rows may differ in length."""
    page: int | None = None
    """The page of the table, from 1; None if the format has no pages."""
    cut: bool = False
    """Whether cells beyond the bounds were left out; the text of the document has all cells."""


@dataclass(frozen=True, slots=True)
class ProcessedDocument:
    """The result of processing one document.

    It is a pure function of the file's bytes, its name and the processing code: no clock, no randomness.
    """

    sha256: str
    """SHA-256 of the file's bytes, in hexadecimal."""
    size_bytes: int
    media_type: str
    """The media type that the content shows."""
    text: str
    """The text, without NUL characters and lone surrogates, which some stores cannot keep."""
    title: str | None
    page_offsets: tuple[int, ...]
    """Where each page, slide or sheet begins in `text`, in characters; empty if the format has none."""
    properties: dict[str, Any]
    """Author, dates and the like, as JSON values."""
    chunks: tuple[Chunk, ...]
    embeddings: npt.NDArray[np.float32]
    """Shape (len(chunks), EMBEDDING_DIMENSIONS), each row of unit length."""
    mentions: tuple[Mention, ...]
    quality_score: float
    """0 to 1, rounded to 3 places; see docs/quality.md."""
    warnings: tuple[str, ...] = field(default=())
    """One sentence for each loss and each repair."""
    sections: tuple[Section, ...] = field(default=())
    """The headings, sorted by offset."""
    tables: tuple[Table, ...] = field(default=())
    """The tables, sorted by start; no table overlaps another table."""
    authors: tuple[str, ...] = field(default=())
    """The authors that the document names, each author once."""
    created: str | None = None
    """`YYYY-MM-DDTHH:MM:SSZ`, or `YYYY-MM-DD` where the document gives no time with an offset."""
    modified: str | None = None
    """In the form of `created`."""
    language: str | None = None
    """ISO 639-1 code: the declared language, else the detected one; None if there is neither."""
