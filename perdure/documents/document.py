"""The values that pass between discovery, processing and the store: plain values, cheap to encode."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from perdure.analysis.annotations import Chunk, Mention

PROCESSING_VERSION = "2"
"""Goes up whenever processing makes something else of the same bytes, so that a run started again makes it anew."""


@dataclass(frozen=True, slots=True)
class DiscoveredDocument:
    """One entry of the manifest as discovery sees it, before anything is read."""

    uri: str
    """Absolute `file://` URI, percent-encoded; the document's identity within a run."""
    name: str
    """What people call it: the path relative to its source, with forward slashes."""
    source: str
    """The source it was found under, as an absolute `file://` URI."""
    size_bytes: int
    version: str
    """Changes whenever the content may have changed: size, modification and status-change time; opaque."""


@dataclass(frozen=True, slots=True)
class Section:
    """Where a heading stands; its section goes on until the next one of the same or a higher level."""

    offset: int
    """In characters of the document's text."""
    level: int
    """1 for the highest."""
    heading: str
    """On one line, never empty."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: `text[start:end]`, offsets in characters of the document's text, and its cells."""

    start: int
    end: int
    rows: tuple[tuple[str, ...], ...]
    """Cells from left to right, each on one line; rows may differ in length."""
    page: int | None = None
    """From 1; None if the format has no pages."""
    cut: bool = False
    """Whether cells beyond the bounds were left out; the text has them all."""


@dataclass(frozen=True, slots=True)
class ProcessedDocument:
    """Everything that processing makes of one document.

    A pure function of the file's bytes, its name and the processing code: no clock, no randomness.
    """

    sha256: str
    """Of the file's bytes, hexadecimal."""
    size_bytes: int
    media_type: str
    """As sniffed from the content."""
    text: str
    """Without NUL characters and lone surrogates, so that every store takes it."""
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
    """What went less than well, one sentence each."""
    sections: tuple[Section, ...] = field(default=())
    """By offset."""
    tables: tuple[Table, ...] = field(default=())
    """By start; none overlaps another."""
    authors: tuple[str, ...] = field(default=())
    """As the document names them, each once."""
    created: str | None = None
    """`YYYY-MM-DDTHH:MM:SSZ`, or `YYYY-MM-DD` where the document does not tell the instant."""
    modified: str | None = None
    """In the same form."""
    language: str | None = None
    """ISO 639-1: as declared, else as detected; None if neither says."""
