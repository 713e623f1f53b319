"""Passages in Postgres: full text by a GIN index, nearness by vectors.

In a run of up to `signatures.EXACT_CHUNKS` chunks a query is compared with each vector. In a larger one its signatures
say which may be near, and the vectors of those are compared; they are there from when the run's analytics are made.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from perdure.services.search import Passage, Place
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.signatures import likely_nearest

LIKELY_NEAREST = 1_000
"""Chunks whose vectors are compared, by their signatures; see docs/search.md for what that finds."""
RANKED_MATCHES = 2_000
"""Passages with the words of a query that are ranked by them; each costs some microseconds."""
_START, _STOP = "\x02", "\x03"
_HEADLINE = f"StartSel={_START}, StopSel={_STOP}, MaxWords=50, MinWords=30, ShortWord=2"

# In a SELECT of its own it is made once; without, a statement that is prepared makes it anew for every row.
_QUERY = "(SELECT websearch_to_tsquery('english', $2))"
_VECTOR = "(SELECT $2::real[]::vector(256))"
# With a LIMIT the planner hopes to meet matches soon on its way through all chunks, and reads them all when words that
# are common are rare together; the index of words finds out in a few milliseconds.
_BY_INDEX = "SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off"
_MATCHES = f"""
WITH found AS MATERIALIZED (
    SELECT position, ordinal, terms FROM chunks
    WHERE workflow_id = $1 AND terms @@ {_QUERY} LIMIT $3 + 1
), counted AS MATERIALIZED (SELECT count(*) AS matches FROM found)
"""  # noqa: S608 - put together from constants
_BY_TERMS = f"""
{_MATCHES}, ranked AS (
    SELECT position, ordinal FROM found WHERE (SELECT matches FROM counted) <= $3
    ORDER BY ts_rank_cd(terms, {_QUERY}, 1) DESC, position, ordinal LIMIT $4
)
SELECT matches, position, ordinal FROM counted LEFT JOIN ranked ON true
"""  # noqa: S608 - put together from constants
_AMONG = """
WITH among AS MATERIALIZED (
    SELECT c.position, c.ordinal, c.terms, c.embedding
    FROM unnest($3::bigint[], $4::integer[]) AS wanted (position, ordinal)
    JOIN chunks c ON c.workflow_id = $1 AND c.position = wanted.position AND c.ordinal = wanted.ordinal
)
"""
_BY_TERMS_AMONG = f"""
{_AMONG}
SELECT position, ordinal FROM among WHERE terms @@ {_QUERY}
ORDER BY ts_rank_cd(terms, {_QUERY}, 1) DESC, position, ordinal LIMIT $5
"""  # noqa: S608 - as above
_NEAREST_AMONG = f"""
{_AMONG}
SELECT position, ordinal FROM among ORDER BY embedding <=> {_VECTOR}, position, ordinal LIMIT $5
"""  # noqa: S608 - as above
_NEAREST = f"""
SELECT position, ordinal FROM chunks WHERE workflow_id = $1
ORDER BY embedding <=> {_VECTOR}, position, ordinal LIMIT $3
"""  # noqa: S608 - as above
_PASSAGES = f"""
SELECT d.uri, d.name, d.title, c.start_offset, t.page_offsets,
       ts_headline('english', translate(substring(t.text FROM c.start_offset::integer + 1
                                                  FOR (c.end_offset - c.start_offset)::integer),
                                        '{_START}{_STOP}', '  '),
                   {_QUERY}, $5) AS headline
FROM unnest($3::bigint[], $4::integer[]) WITH ORDINALITY AS wanted (position, ordinal, place)
JOIN chunks c ON c.workflow_id = $1 AND c.position = wanted.position AND c.ordinal = wanted.ordinal
JOIN document_texts t ON t.workflow_id = $1 AND t.position = c.position
JOIN documents d ON d.workflow_id = $1 AND d.position = c.position
ORDER BY wanted.place
"""  # noqa: S608 - as above


class PostgresPassageStore:
    """`perdure.services.search.PassageStore` over Postgres."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def knows(self, workflow_id: str) -> bool:
        async with self._pool.connection() as conn:
            return bool(await conn.fetchval("SELECT EXISTS (SELECT FROM runs WHERE workflow_id = $1)", workflow_id))

    async def latest_run(self) -> str | None:
        async with self._pool.connection() as conn:
            found: str | None = await conn.fetchval(
                """SELECT workflow_id FROM runs r
                   WHERE EXISTS (SELECT FROM chunks c WHERE c.workflow_id = r.workflow_id)
                   ORDER BY updated_at DESC, workflow_id LIMIT 1"""
            )
        return found

    async def by_terms(self, workflow_id: str, query: str, count: int) -> Sequence[Place] | None:
        async with self._pool.transaction() as conn:
            await conn.execute(_BY_INDEX)
            rows = await conn.fetch(_BY_TERMS, workflow_id, query, RANKED_MATCHES, count)
        matches = rows[0]["matches"]
        if matches > RANKED_MATCHES:
            return None
        return [(row["position"], row["ordinal"]) for row in rows] if matches else []

    async def by_terms_among(
        self, workflow_id: str, query: str, places: Sequence[Place], count: int
    ) -> Sequence[Place]:
        async with self._pool.connection() as conn:
            rows = await conn.fetch(_BY_TERMS_AMONG, workflow_id, query, *_columns(places), count)
        return [(row["position"], row["ordinal"]) for row in rows]

    async def by_nearness(self, workflow_id: str, vector: npt.NDArray[np.float32], count: int) -> Sequence[Place]:
        numbers = vector.tolist()
        async with self._pool.transaction() as conn:
            likely = await likely_nearest(conn, workflow_id, vector, max(count, LIKELY_NEAREST))
            if likely is None:
                rows = await conn.fetch(_NEAREST, workflow_id, numbers, count)
            else:
                rows = await conn.fetch(_NEAREST_AMONG, workflow_id, numbers, *_columns(likely), count)
        return [(row["position"], row["ordinal"]) for row in rows]

    async def passages(self, workflow_id: str, query: str, places: Sequence[Place]) -> Sequence[Passage]:
        async with self._pool.connection() as conn:
            rows = await conn.fetch(_PASSAGES, workflow_id, query, *_columns(places), _HEADLINE)
        return [
            Passage(
                row["uri"],
                row["name"],
                row["title"],
                row["start_offset"],
                row["page_offsets"],
                *_marked(row["headline"]),
            )
            for row in rows
        ]


def _columns(places: Sequence[Place]) -> tuple[list[int], list[int]]:
    return [position for position, _ in places], [ordinal for _, ordinal in places]


def _marked(headline: str) -> tuple[str, list[tuple[int, int]]]:
    """The snippet on one line, and what is marked in it."""
    text, highlights, begun = "", [], 0
    for piece in " ".join(headline.split()).replace(_START, f"\0{_START}").replace(_STOP, f"\0{_STOP}").split("\0"):
        if piece[:1] == _START:
            begun = len(text)
        elif piece[:1] == _STOP:
            highlights.append((begun, len(text)))
        text += piece.lstrip(_START + _STOP)
    return text, highlights
