"""Mentions of a long text slice by slice, each kept as soon as it is found."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from perdure.analysis.mentions import Recogniser, SpacyRecogniser, slices
from perdure.documents.document import Mention
from perdure.sandbox.parts import Parts

_PART = "mentions"


class SliceBySlice:
    """What another recogniser finds in each slice of a text, less what was found in it before.

    Args:
        parts: slices that were finished before, and where to put more.
        said: what to tell people when a text is done up to an offset.
        recogniser: of the slices.
    """

    def __init__(self, parts: Parts, said: Callable[[int], str], recogniser: Recogniser | None = None) -> None:
        self._parts = parts
        self._said = said
        self._recogniser = recogniser or SpacyRecogniser()

    def recognise(self, text: str) -> Iterator[Mention]:
        """Mentions with offsets into the whole text."""
        finished = {(start, end): found for start, end, found in self._parts.of(_PART)}
        for start, end in slices(text):
            found = finished.get((start, end))
            if found is None:
                within = self._recogniser.recognise(text[start:end])
                found = [replace(one, start=one.start + start, end=one.end + start) for one in within]
                self._parts.add(_PART, (start, end, found), self._said(end))
            yield from found
