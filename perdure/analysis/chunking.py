"""Passages for embedding and search: cut where the text itself pauses, never longer than the limit."""

from functools import cache
from typing import Any

import semchunk

from perdure.documents.document import Chunk

MAX_CHUNK_CHARACTERS = 800


@cache
def _chunker() -> Any:
    return semchunk.chunkerify(len, MAX_CHUNK_CHARACTERS)  # type: ignore[attr-defined] # it is public


def chunk(text: str) -> tuple[Chunk, ...]:
    """Ordered, disjoint chunks that hold everything but the white space between them."""
    if not text.strip():
        return ()
    _, offsets = _chunker()(text, offsets=True)
    return tuple(Chunk(start, end) for start, end in offsets if text[start:end].strip())
