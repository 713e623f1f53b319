"""Recognises names slice by slice.

The mentions of each finished slice are kept for a later process.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Protocol

from perdure.analysis.annotations import Mention
from perdure.analysis.mentions import Recogniser, SpacyRecogniser, split_into_slices

_PART = "mentions"


class FinishedParts(Protocol):
    """Keeps finished parts of a text's analysis; `perdure.sandbox.parts.Parts` implements it."""

    def of(self, kind: str) -> list[Any]:
        """Return the parts of a kind that earlier processes finished."""
        ...

    def add(self, kind: str, part: Any, progress: str) -> None:
        """Keep a finished part, which consists of plain values, and tell users the progress."""
        ...


class ResumableRecogniser:
    """Yields the mentions of each slice, and recognises unfinished slices only.

    Args:
        parts: returns the slices that earlier processes finished, and keeps newly finished slices.
        describe: returns the progress text for users, given the offset up to which the text is finished.
        recogniser: recogniser of the slices.
    """

    def __init__(
        self, parts: FinishedParts, describe: Callable[[int], str], recogniser: Recogniser | None = None
    ) -> None:
        self._parts = parts
        self._describe = describe
        self._recogniser = recogniser or SpacyRecogniser()

    def recognise(self, text: str) -> Iterator[Mention]:
        """Yield mentions with offsets into the whole text."""
        finished = {(start, end): rows for start, end, rows in self._parts.of(_PART)}
        for start, end in split_into_slices(text):
            rows = finished.get((start, end))
            if rows is None:
                within = self._recogniser.recognise(text[start:end])
                mentions = [replace(each, start=each.start + start, end=each.end + start) for each in within]
                self._parts.add(_PART, (start, end, [_to_row(each) for each in mentions]), self._describe(end))
            else:
                mentions = [Mention(*row) for row in rows]
            yield from mentions


def _to_row(mention: Mention) -> tuple[int, int, str, str, str, float]:
    """Return the fields of a mention as a plain tuple, since parts may hold no classes."""
    return mention.start, mention.end, mention.kind, mention.surface, mention.normalised, mention.confidence
