"""Search in the text of a run, by words and by meaning, with the place of each passage.

The service makes two rankings, one by full text and one by the distance of vectors, and fuses them by reciprocal rank:
a passage gets 1 / (60 + rank) from each ranking that contains it (Cormack, Clarke and Büttcher, SIGIR 2009). Ties are
broken by document and place, so the same query over the same run has the same answer.
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
"""Number of passages that each ranking contributes."""
NEIGHBOURS = 500
"""Number of nearest passages that are ranked by words when too many passages contain the words."""
_RANK_OFFSET = 60

Place = tuple[int, int]
"""Position of the document in the manifest, and ordinal of the chunk in the document."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk and its place in its document."""

    uri: str
    document: str
    """Display name of the document."""
    title: str | None
    offset: int
    """Start of the chunk in the document's text, in characters."""
    page_offsets: Sequence[int]
    """Start of each page in the document's text, in characters; empty for a format without pages."""
    snippet: str
    """The part of the chunk that contains the words of the query, or its beginning, on one line."""
    highlights: Sequence[tuple[int, int]]
    """Words of the query, as half-open ranges of the snippet, in characters."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result; `page` counts from 1 and is None for a format without pages."""

    document: str
    uri: str
    title: str | None
    page: int | None
    offset: int
    snippet: str
    score: float
    highlights: list[tuple[int, int]] = field(default_factory=list)


class Embedder(Protocol):
    """Turns texts into vectors."""

    def embed(self, passages: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return an array of shape (len(passages), dimensions), each row of unit length."""
        ...


class PassageStore(Protocol):
    """The store of chunks; every method raises `DependencyUnavailable` if it cannot be reached."""

    async def knows(self, workflow_id: str) -> bool:
        """Return whether the store holds this run."""
        ...

    async def latest_run(self) -> str | None:
        """Return the run with chunks that was started or resumed last; None if no run has chunks."""
        ...

    async def by_terms(self, workflow_id: str, query: str, count: int) -> Sequence[Place] | None:
        """Return the places of passages that contain the query's words, best first.

        Return None if there are too many such passages.
        """
        ...

    async def by_terms_among(
        self, workflow_id: str, query: str, places: Sequence[Place], count: int
    ) -> Sequence[Place]:
        """Return those of `places` whose passages contain the query's words, best first."""
        ...

    async def by_nearness(self, workflow_id: str, vector: npt.NDArray[np.float32], count: int) -> Sequence[Place]:
        """Return the places of the passages nearest to the vector (256 dimensions), nearest first."""
        ...

    async def passages(self, workflow_id: str, query: str, places: Sequence[Place]) -> Sequence[Passage]:
        """Return the passages at these places, in the same order."""
        ...


class SearchService:
    """Answers queries over one run.

    Args:
        store: store of the run's chunks.
        embedder: the embedder that made the chunks' vectors.
    """

    def __init__(self, store: PassageStore, embedder: Embedder) -> None:
        """Keep store and embedder; no connection is opened."""
        self._store = store
        self._embedder = embedder

    async def search(self, workflow_id: str, query: str, limit: int) -> list[Hit]:
        """Return the `limit` best passages for the query, best first.

        Return an empty list if there are none. By words, a passage must contain every word, a `"phrase"` in its order,
        and no `-word`; `or` separates alternatives. Passages near in meaning are found in addition.

        Raises:
            RefusedCommand: the query has no letter or digit, or is longer than 1,000 characters.
            DependencyUnavailable: the store cannot be reached.
        """
        query = " ".join(query.replace("\0", " ").split())
        if not any(character.isalnum() for character in query):
            raise RefusedCommand("The query has no letter or digit: give a word, several words, or a question.")
        if len(query) > MAX_QUERY_CHARACTERS:
            raise RefusedCommand(f"A query may have at most {MAX_QUERY_CHARACTERS:,} characters.")
        (vector,) = self._embedder.embed([query])
        named, near = await asyncio.gather(
            self._store.by_terms(workflow_id, query, CANDIDATES),
            self._store.by_nearness(workflow_id, vector, NEIGHBOURS),
        )
        if named is None:
            # These words occur in too many passages to rank them. The search uses the meaning of the query instead.
            named = await self._store.by_terms_among(workflow_id, query, near, CANDIDATES)
        best = fuse([named, near[:CANDIDATES]])[:limit]
        passages = await self._store.passages(workflow_id, query, [place for place, _ in best])
        return [_make_hit(passage, score) for passage, (_, score) in zip(passages, best, strict=True)]


def fuse(rankings: Sequence[Sequence[Place]]) -> list[tuple[Place, float]]:
    """Return the places with their scores by reciprocal rank fusion, best first."""
    scores: dict[Place, float] = {}
    for ranking in rankings:
        for rank, place in enumerate(ranking, start=1):
            scores[place] = scores.get(place, 0.0) + 1 / (_RANK_OFFSET + rank)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def page_of(offset: int, page_offsets: Sequence[int]) -> int | None:
    """Return the page, counted from 1, that contains the offset; None without pages."""
    return max(1, bisect_right(page_offsets, offset)) if page_offsets else None


def _make_hit(passage: Passage, score: float) -> Hit:
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
