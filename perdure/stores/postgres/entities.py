"""Identities of a run as people ask for them: ranked, or by a name."""

import heapq

from rapidfuzz import fuzz, utils

from perdure.services.analytics.entities import Alias, CitedMention, Entity, Relation
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.identities import WHOLE_RUN_SECONDS

SUGGESTIONS = 3
_ALIKE = 60.0
_BLOCK = 1000
_AROUND = 80
"""Characters of a snippet on either side of the mention."""

_ENTITY = """
SELECT i.identity_id, i.kind, i.name, i.mention_count, i.document_count, i.confidence, n.pagerank, n.community
FROM identities i LEFT JOIN graph_nodes n USING (workflow_id, identity_id) WHERE workflow_id = $1
"""
_RANK = 'ORDER BY n.pagerank DESC NULLS LAST, i.mention_count DESC, i.identity_id COLLATE "C" LIMIT'
_RANKED = f"{_ENTITY} AND ($2::text IS NULL OR i.kind = $2) {_RANK} $3"


def _folded(text: str) -> str:
    """Without accents and case, in SQL."""
    return rf"lower(regexp_replace(normalize({text}, NFD), '[\u0300-\u036f]', '', 'g'))"


_NAMED = f"""{_ENTITY} AND identity_id IN (
    SELECT identity_id FROM identity_aliases WHERE workflow_id = $1 AND {_folded("surface")} = {_folded("$2")})
{_RANK} $3
"""  # noqa: S608 - put together from constants
_ALIASES = """
SELECT surface, mention_count, rule, score::double precision FROM identity_aliases
WHERE workflow_id = $1 AND identity_id = $2 ORDER BY mention_count DESC, surface COLLATE "C" LIMIT $3
"""
_RELATED = """
SELECT i.kind, i.name, e.weight
FROM (SELECT target AS identity_id, weight FROM graph_edges WHERE workflow_id = $1 AND source = $2
      UNION ALL SELECT source, weight FROM graph_edges WHERE workflow_id = $1 AND target = $2) AS e
JOIN identities i ON i.workflow_id = $1 AND i.identity_id = e.identity_id
ORDER BY e.weight DESC, i.name COLLATE "C", i.identity_id COLLATE "C" LIMIT $3
"""
_MENTIONED = """
SELECT c.document, c.uri, c.page, c.start_offset, c.end_offset, greatest(c.start_offset - $4, 0) AS first,
       substr(t.text, greatest(c.start_offset - $4, 0)::integer + 1,
              (c.end_offset + $4 - greatest(c.start_offset - $4, 0))::integer) AS snippet
FROM identity_members m JOIN cited_mentions c USING (workflow_id, kind, normalised)
JOIN document_texts t USING (workflow_id, position)
WHERE workflow_id = $1 AND m.identity_id = $2 ORDER BY c.position, c.start_offset LIMIT $3
"""


class PostgresEntityStore:
    """Every method raises `DependencyUnavailable` when the database cannot be used now."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def ranked(self, workflow_id: str, kind: str | None, limit: int) -> list[Entity]:
        """The identities of a run, or those of one kind, by PageRank."""
        async with self._pool.connection() as conn:
            return [Entity(*row) for row in await conn.fetch(_RANKED, workflow_id, kind, limit)]

    async def kinds(self, workflow_id: str) -> list[str]:
        """The kinds of identities that a run has, sorted."""
        async with self._pool.connection() as conn:
            rows = await conn.fetch("SELECT DISTINCT kind FROM identities WHERE workflow_id = $1", workflow_id)
        return sorted(row["kind"] for row in rows)

    async def named(self, workflow_id: str, name: str, limit: int) -> list[Entity]:
        """The identities that have a spelling, whatever its case and accents, by PageRank."""
        async with self._pool.connection() as conn:
            return [Entity(*row) for row in await conn.fetch(_NAMED, workflow_id, name, limit)]

    async def suggestions(self, workflow_id: str, name: str) -> list[str]:
        """Names of identities that are spelt like this one, the most alike first."""
        best: list[tuple[float, str]] = []
        wanted = utils.default_process(name)
        async with self._pool.transaction() as conn:
            names = await conn.cursor("SELECT DISTINCT name FROM identities WHERE workflow_id = $1", workflow_id)
            while block := await names.fetch(_BLOCK, timeout=WHOLE_RUN_SECONDS):
                alike = [(fuzz.WRatio(wanted, utils.default_process(row["name"])), row["name"]) for row in block]
                best = heapq.nsmallest(SUGGESTIONS, [*best, *alike], key=lambda found: (-found[0], found[1]))
        return [found for score, found in best if score >= _ALIKE]

    async def aliases(self, workflow_id: str, identity_id: str, limit: int) -> list[Alias]:
        """Its spellings, the most frequent first."""
        async with self._pool.connection() as conn:
            return [Alias(*row) for row in await conn.fetch(_ALIASES, workflow_id, identity_id, limit)]

    async def related(self, workflow_id: str, identity_id: str, limit: int) -> list[Relation]:
        """Those with which it shares the most documents."""
        async with self._pool.connection() as conn:
            return [Relation(*row) for row in await conn.fetch(_RELATED, workflow_id, identity_id, limit)]

    async def mentioned(self, workflow_id: str, identity_id: str, limit: int) -> list[CitedMention]:
        """Where it is mentioned, by document and place; snippets are one line of printable characters."""
        async with self._pool.connection() as conn:
            rows = await conn.fetch(_MENTIONED, workflow_id, identity_id, limit, _AROUND)
        return [
            CitedMention(
                *(row["document"], row["uri"], row["page"], row["start_offset"]),
                "".join(character if character.isprintable() else " " for character in row["snippet"]),
                *(row["start_offset"] - row["first"], row["end_offset"] - row["first"]),
            )
            for row in rows
        ]
