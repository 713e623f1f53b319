"""The values that analysis returns: spans of a text.

The values are plain, so that the import of this module loads no model.
"""

from dataclasses import dataclass

EMBEDDING_DIMENSIONS = 256
"""Numbers in the embedding of a chunk."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage for embedding and search: `text[start:end]`, in characters of the document."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Mention:
    """A name, date, sum or identifier: `text[start:end]`, in characters of the document."""

    start: int
    end: int
    kind: str
    """person, organisation, place, date, money, email or identifier."""
    surface: str
    """The text as it stands in the document."""
    normalised: str
    """The form that equal mentions share; never empty."""
    confidence: float
    """The certainty of the recognition, from 0 to 1."""
