"""Search in what a run has read: by words and by meaning, with the place where it says so.

Two rankings are made, one by full text and one by the nearness of vectors, and fused by reciprocal rank: a passage gets
1 / (60 + rank) from each ranking that has it (Cormack, Clarke and Büttcher, SIGIR 2009). Ties go by document and place,
so the same question over the same run has the same answer.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from perdure.errors import RefusedCommand

MAX_QUERY_CHARACTERS = 1_000
CANDIDATES = 100
"""Passages of each ranking that take part."""
NEIGHBOURS = 500
"""Passages near in meaning among which words that are everywhere are looked for."""
_RANK_OFFSET = 60

Place = tuple[int, int]
"""Position of the document in the manifest, ordinal of the chunk in it."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as it stands in its document."""

    uri: str
    document: str
    """What people call it."""
    title: str | None
    offset: int
    """Where it begins in the document's text, in characters."""
    page_offsets: Sequence[int]
    snippet: str
    """The part of it that has the words of the query, or its beginning; on one line."""
    highlights: Sequence[tuple[int, int]]
    """Words of the query: offsets into the snippet, in characters."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer; `page` counts from 1 and is None where the format has no pages."""

    document: str
    uri: str
    title: str | None
    page: int | None
    offset: int
    snippet: str
    score: float
    highlights: list[tuple[int, int]] = field(default_factory=list)


class Embedder(Protocol):
    def embed(self, passages: Sequence[str]) -> npt.NDArray[np.float32]:
        """Shape (len(passages), dimensions), each row of unit length."""
        ...


class PassageStore(Protocol):
    """Where chunks are; every method raises `DependencyUnavailable` when it cannot be reached."""

    async def knows(self, workflow_id: str) -> bool:
        """Whether there is such a run."""
        ...

    async def latest_run(self) -> str | None:
        """The run that something was committed to last, None if there is none."""
        ...

    async def by_terms(self, workflow_id: str, query: str, count: int) -> Sequence[Place] | None:
        """Places of the passages that have the words of the query, the best first; None if too many have them."""
        ...

    async def by_terms_among(
        self, workflow_id: str, query: str, places: Sequence[Place], count: int
    ) -> Sequence[Place]:
        """As `by_terms`, of these places alone."""
        ...

    async def by_nearness(self, workflow_id: str, vector: npt.NDArray[np.float32], count: int) -> Sequence[Place]:
        """Places of the passages nearest to the vector (256 dimensions), the nearest first."""
        ...

    async def passages(self, workflow_id: str, query: str, places: Sequence[Place]) -> Sequence[Passage]:
        """The passages at these places, in the same order."""
        ...


class SearchService:
    """Answers questions over one run."""

    def __init__(self, store: PassageStore, embedder: Embedder) -> None:
        self._store = store
        self._embedder = embedder

    async def search(self, workflow_id: str, query: str, limit: int) -> list[Hit]:
        """The `limit` best passages for the query, the best first; none if nothing is there.

        Words are all to be found, `"a phrase"` as it stands, `-word` not at all, `or` between alternatives; what is
        near in meaning is found besides.

        Raises:
            RefusedCommand: the query says nothing, or is longer than 1,000 characters.
            DependencyUnavailable: the store cannot be reached.
        """
        query = " ".join(query.replace("\0", " ").split())
        if not any(character.isalnum() for character in query):
            raise RefusedCommand("Say what to look for: a word, several, or a question.")
        if len(query) > MAX_QUERY_CHARACTERS:
            raise RefusedCommand(f"A query may have {MAX_QUERY_CHARACTERS:,} characters at the most.")
        (vector,) = self._embedder.embed([query])
        named, near = await asyncio.gather(
            self._store.by_terms(workflow_id, query, CANDIDATES),
            self._store.by_nearness(workflow_id, vector, NEIGHBOURS),
        )
        if named is None:
            # Words that so many passages have do not tell these apart: what the whole query means does.
            named = await self._store.by_terms_among(workflow_id, query, near, CANDIDATES)
        best = fused([named, near[:CANDIDATES]])[:limit]
        found = await self._store.passages(workflow_id, query, [place for place, _ in best])
        return [_hit(passage, score) for passage, (_, score) in zip(found, best, strict=True)]


def fused(rankings: Sequence[Sequence[Place]]) -> list[tuple[Place, float]]:
    """Places with their scores by reciprocal rank fusion, the best first."""
    scores: dict[Place, float] = {}
    for ranking in rankings:
        for rank, place in enumerate(ranking, start=1):
            scores[place] = scores.get(place, 0.0) + 1 / (_RANK_OFFSET + rank)
    return sorted(scores.items(), key=lambda one: (-one[1], one[0]))


def page_of(offset: int, page_offsets: Sequence[int]) -> int | None:
    """The page, counted from 1, on which this offset lies; None without pages."""
    return max(1, bisect_right(page_offsets, offset)) if page_offsets else None


def _hit(passage: Passage, score: float) -> Hit:
    return Hit(
        document=passage.document,
        uri=passage.uri,
        title=passage.title,
        page=page_of(passage.offset, passage.page_offsets),
        offset=passage.offset,
        snippet=passage.snippet,
        score=round(score, 6),
        highlights=list(passage.highlights),
    )
