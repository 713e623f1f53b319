"""Cuts a text into chunks for embedding and search.

A chunk ends at the end of a paragraph or sentence where possible.
"""

from functools import cache
from typing import Any

import semchunk

from perdure.analysis.annotations import Chunk

MAX_CHUNK_CHARACTERS = 800


@cache
def _load_chunker() -> Any:
    return semchunk.chunkerify(len, MAX_CHUNK_CHARACTERS)  # type: ignore[attr-defined] # a public function without stubs


def chunk(text: str) -> tuple[Chunk, ...]:
    """Return ordered, disjoint chunks of at most `MAX_CHUNK_CHARACTERS`.

    Only white space lies between the chunks.
    """
    if not text.strip():
        return ()
    _, offsets = _load_chunker()(text, offsets=True)
    return tuple(Chunk(start, end) for start, end in offsets if text[start:end].strip())
