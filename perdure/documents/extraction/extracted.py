"""The input and the result of every extractor."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from perdure.documents.document import Section, Table
from perdure.sandbox.parts import Parts

PAGE_BREAK = "\n\n"
ReadPicture = Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class ExtractionInput:
    """The document that an extractor reads, and the aids that some extractors use."""

    content: bytes
    """The whole file."""
    media_type: str
    """The media type that recognition found. An extractor of several formats needs it."""
    read_picture: ReadPicture | None = None
    """Returns the text of a page that shows a picture; None without OCR."""
    parts: Parts | None = None
    """The pages that an earlier attempt finished, and where to record further ones."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """Everything that an extractor found in a document."""

    text: str
    title: str | None = None
    page_offsets: tuple[int, ...] = ()
    """Where each page begins in the text, in characters; empty if the format has no pages."""
    properties: dict[str, Any] = field(default_factory=dict)
    """Author, dates and the like, as JSON values under the format's own names."""
    warnings: tuple[str, ...] = ()
    """One sentence for each loss and each repair."""
    sections: tuple[Section, ...] = ()
    tables: tuple[Table, ...] = ()


def join_pages(pages: Sequence[str]) -> tuple[str, tuple[int, ...]]:
    """Return the pages as one text, and the offset of each page in characters."""
    offsets = []
    position = 0
    for page in pages:
        offsets.append(position)
        position += len(page) + len(PAGE_BREAK)
    return PAGE_BREAK.join(pages), tuple(offsets)
