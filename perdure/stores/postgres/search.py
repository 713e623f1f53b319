"""Find passages in Postgres: by words with a GIN index, by nearness with vectors.

In a run of up to `signatures.EXACT_CHUNKS` chunks, a query is compared with every vector. A larger run has signatures,
which the analytics of the run make. The search selects the vectors that may be near by their signatures, and compares
the query with the selected vectors only.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from perdure.services.search import Passage, Place
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.signatures import likely_nearest
from perdure.stores.postgres.statements import load_statements

LIKELY_NEAREST = 1_000
"""Number of chunks that are chosen by signatures before their vectors are compared; see docs/search.md."""
RANKED_MATCHES = 2_000
"""Most passages that are ranked by the words of a query. The ranking of a passage takes some microseconds."""
_START = "\x02"
_STOP = "\x03"
_HEADLINE = f"StartSel={_START}, StopSel={_STOP}, MaxWords=50, MinWords=30, ShortWord=2"

_SQL = load_statements("search.sql")


class PostgresPassageStore:
    """Finds passages in Postgres; `perdure.services.search.PassageStore` documents each method."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def knows(self, workflow_id: str) -> bool:
        """Return whether there is such a run."""
        async with self._pool.connection() as conn:
            return bool(await conn.fetchval("SELECT EXISTS (SELECT FROM runs WHERE workflow_id = $1)", workflow_id))

    async def latest_run(self) -> str | None:
        """Return the run with chunks that was started or resumed last; None if no run has chunks."""
        async with self._pool.connection() as conn:
            workflow_id: str | None = await conn.fetchval(*_SQL["find_latest_run"].bind())
        return workflow_id

    async def by_terms(self, workflow_id: str, query: str, count: int) -> Sequence[Place] | None:
        """Return the places of passages with the words of the query; None if they are too many."""
        statement = _SQL["find_by_terms"].bind(
            workflow_id=workflow_id, query=query, most_matches=RANKED_MATCHES, count=count
        )
        async with self._pool.transaction() as conn:
            await conn.execute(*_SQL["use_indexes"].bind())
            rows = await conn.fetch(*statement)
        matches = rows[0]["matches"]
        if matches > RANKED_MATCHES:
            return None
        return [(row["position"], row["ordinal"]) for row in rows] if matches else []

    async def by_terms_among(
        self, workflow_id: str, query: str, places: Sequence[Place], count: int
    ) -> Sequence[Place]:
        """Return those of the places whose passages have the words of the query, the best first."""
        statement = _SQL["find_by_terms_among"].bind(
            workflow_id=workflow_id, query=query, count=count, **_split(places)
        )
        async with self._pool.connection() as conn:
            rows = await conn.fetch(*statement)
        return [(row["position"], row["ordinal"]) for row in rows]

    async def by_nearness(self, workflow_id: str, vector: npt.NDArray[np.float32], count: int) -> Sequence[Place]:
        """Return the places of the passages nearest to the vector, shape (256,), nearest first."""
        query = {"workflow_id": workflow_id, "vector": vector.tolist(), "count": count}
        async with self._pool.transaction() as conn:
            likely = await likely_nearest(conn, workflow_id, vector, max(count, LIKELY_NEAREST))
            if likely is None:
                rows = await conn.fetch(*_SQL["find_nearest"].bind(**query))
            else:
                rows = await conn.fetch(*_SQL["find_nearest_among"].bind(**query, **_split(likely)))
        return [(row["position"], row["ordinal"]) for row in rows]

    async def passages(self, workflow_id: str, query: str, places: Sequence[Place]) -> Sequence[Passage]:
        """Return the passages at these places, in the same order."""
        statement = _SQL["read_passages"].bind(
            workflow_id=workflow_id, query=query, headline_options=_HEADLINE, **_split(places)
        )
        async with self._pool.connection() as conn:
            rows = await conn.fetch(*statement)
        passages = []
        for row in rows:
            snippet, highlights = _read_headline(row["headline"])
            passages.append(
                Passage(
                    uri=row["uri"],
                    document=row["name"],
                    title=row["title"],
                    offset=row["start_offset"],
                    page_offsets=row["page_offsets"],
                    snippet=snippet,
                    highlights=highlights,
                )
            )
        return passages


def _split(places: Sequence[Place]) -> dict[str, list[int]]:
    return {
        "positions": [position for position, _ in places],
        "ordinals": [ordinal for _, ordinal in places],
    }


def _read_headline(headline: str) -> tuple[str, list[tuple[int, int]]]:
    """Return the snippet on one line, and the offsets of the words that are marked in it."""
    text = ""
    highlights = []
    start = 0
    for piece in " ".join(headline.split()).replace(_START, f"\0{_START}").replace(_STOP, f"\0{_STOP}").split("\0"):
        if piece[:1] == _START:
            start = len(text)
        elif piece[:1] == _STOP:
            highlights.append((start, len(text)))
        text += piece.lstrip(_START + _STOP)
    return text, highlights
