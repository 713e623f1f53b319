"""Passages in Postgres: full text by a GIN index, nearness by pgvector.

In a run of up to `EXACT_CHUNKS` chunks a query is compared with each one, which is exact and takes milliseconds; the
chunks of larger runs stand in `indexed_chunks`, under an HNSW index, from when their analytics are made.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from perdure.services.search import Passage, Place
from perdure.stores.postgres.connection import Connection, PostgresPool
from perdure.stores.postgres.identities import WHOLE_RUN_SECONDS

EXACT_CHUNKS = 20_000
SEARCHED_NEIGHBOURS = 400
"""Candidates that the HNSW index keeps while it searches; see docs/search.md for what that finds."""
RANKED_MATCHES = 1_000
"""Passages with the words of the query that are ranked; a word that is everywhere tells nothing of its places."""
_START, _STOP = "\x02", "\x03"
_HEADLINE = f"StartSel={_START}, StopSel={_STOP}, MaxWords=50, MinWords=30, ShortWord=2"

_BY_TERMS = """
WITH found AS (
    SELECT position, ordinal, terms FROM chunks
    WHERE workflow_id = $1 AND terms @@ websearch_to_tsquery('english', $2)
    ORDER BY position, ordinal LIMIT $4
)
SELECT position, ordinal FROM found
ORDER BY ts_rank_cd(terms, websearch_to_tsquery('english', $2), 1) DESC, position, ordinal LIMIT $3
"""
_EXACT = """
SELECT position, ordinal FROM chunks WHERE workflow_id = $1
ORDER BY embedding <=> $2::real[]::vector(256), position, ordinal LIMIT $3
"""
_INDEXED = """
WITH near AS MATERIALIZED (
    SELECT position, ordinal, embedding <=> $2::real[]::halfvec(256) AS distance
    FROM indexed_chunks WHERE workflow_id = $1 ORDER BY distance LIMIT $3
)
SELECT position, ordinal FROM near ORDER BY distance, position, ordinal
"""
_PASSAGES = f"""
SELECT d.uri, d.name, d.title, c.start_offset, t.page_offsets,
       ts_headline('english', translate(substring(t.text FROM c.start_offset::integer + 1
                                                  FOR (c.end_offset - c.start_offset)::integer),
                                        '{_START}{_STOP}', '  '),
                   websearch_to_tsquery('english', $2), $5) AS headline
FROM unnest($3::bigint[], $4::integer[]) WITH ORDINALITY AS wanted (position, ordinal, place)
JOIN chunks c ON c.workflow_id = $1 AND c.position = wanted.position AND c.ordinal = wanted.ordinal
JOIN document_texts t ON t.workflow_id = $1 AND t.position = c.position
JOIN documents d ON d.workflow_id = $1 AND d.position = c.position
ORDER BY wanted.place
"""  # noqa: S608 - put together from constants
_INDEX = """
INSERT INTO indexed_chunks (workflow_id, position, ordinal, embedding)
SELECT workflow_id, position, ordinal, embedding::halfvec(256) FROM chunks
WHERE workflow_id = $1 ORDER BY position, ordinal
"""


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

    async def by_terms(self, workflow_id: str, query: str, count: int) -> Sequence[Place]:
        async with self._pool.connection() as conn:
            rows = await conn.fetch(_BY_TERMS, workflow_id, query, count, RANKED_MATCHES)
        return [(row["position"], row["ordinal"]) for row in rows]

    async def by_nearness(self, workflow_id: str, vector: npt.NDArray[np.float32], count: int) -> Sequence[Place]:
        async with self._pool.transaction() as conn:
            if await _is_indexed(conn, workflow_id):
                # Other runs' chunks in the index are passed over, and the search goes on until there are enough.
                await conn.execute(f"SET LOCAL hnsw.ef_search = {SEARCHED_NEIGHBOURS}")
                await conn.execute("SET LOCAL hnsw.iterative_scan = strict_order")
                rows = await conn.fetch(_INDEXED, workflow_id, vector.tolist(), count)
            else:
                rows = await conn.fetch(_EXACT, workflow_id, vector.tolist(), count)
        return [(row["position"], row["ordinal"]) for row in rows]

    async def passages(self, workflow_id: str, query: str, places: Sequence[Place]) -> Sequence[Passage]:
        positions, ordinals = [position for position, _ in places], [ordinal for _, ordinal in places]
        async with self._pool.connection() as conn:
            rows = await conn.fetch(_PASSAGES, workflow_id, query, positions, ordinals, _HEADLINE)
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


async def index_chunks(conn: Connection, workflow_id: str) -> None:
    """Have the vectors of a large run indexed, in the transaction that holds the run; of a small one, none is."""
    await conn.execute("DELETE FROM indexed_chunks WHERE workflow_id = $1", workflow_id, timeout=WHOLE_RUN_SECONDS)
    chunks = await conn.fetchval(
        "SELECT coalesce(sum(chunk_count), 0) FROM documents WHERE workflow_id = $1 AND status = 'processed'",
        workflow_id,
        timeout=WHOLE_RUN_SECONDS,
    )
    if chunks > EXACT_CHUNKS:
        await conn.execute(_INDEX, workflow_id, timeout=WHOLE_RUN_SECONDS)


async def _is_indexed(conn: Connection, workflow_id: str) -> bool:
    return bool(await conn.fetchval("SELECT EXISTS (SELECT FROM indexed_chunks WHERE workflow_id = $1)", workflow_id))


def _passage(row: Any) -> Passage:
    return Passage(
        *(row["uri"], row["name"], row["title"], row["start_offset"], row["page_offsets"]), *_marked(row["headline"])
    )


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
