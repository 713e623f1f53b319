"""Where in a document something stands, as people cite it: page and section of an offset."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from perdure.documents.document import Section


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a document."""

    page: int | None
    """From 1: page, slide or sheet; None if the format has none."""
    section: str | None
    """The heading that stands last before it, or at it; None before the first."""


def locate(offset: int, page_offsets: Sequence[int], sections: Sequence[Section]) -> Location:
    """Page and section of an offset into the text, in characters.

    Args:
        offset: of a mention's, chunk's or table's start, at least 0.
        page_offsets: where each page begins, ascending; what stands before the first is on it.
        sections: by offset.
    """
    page = max(1, bisect_right(page_offsets, offset)) if page_offsets else None
    index = bisect_right(sections, offset, key=lambda section: section.offset)
    return Location(page, sections[index - 1].heading if index else None)
