"""Finds the page and the section of an offset in a document's text, as a reader cites them."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from perdure.documents.document import Section


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a document."""

    page: int | None
    """Number of the page, slide or sheet, from 1; None if the format has none."""
    section: str | None
    """The last heading at or before the offset; None before the first heading."""


def locate(offset: int, page_offsets: Sequence[int], sections: Sequence[Section]) -> Location:
    """Return the page and section of an offset.

    Args:
        offset: the offset in the text, in characters, at least 0.
        page_offsets: the offset of each page, ascending. An offset before the first page is on the first page.
        sections: the headings of the document, sorted by offset.
    """
    page = max(1, bisect_right(page_offsets, offset)) if page_offsets else None
    index = bisect_right(sections, offset, key=lambda section: section.offset)
    return Location(page, sections[index - 1].heading if index else None)
