"""Read the identities of a run, with their spellings, relations and mentions."""

import heapq
from typing import Any

from rapidfuzz import fuzz, utils

from perdure.services.analytics.entities import Alias, CitedMention, Entity, Relation
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.identities import WHOLE_RUN_SECONDS
from perdure.stores.postgres.statements import Statement, load_statements

SUGGESTIONS = 3
_LEAST_SCORE = 60.0
"""Lowest score, from 0 to 100, of a name that is suggested."""
_NAMES_PER_FETCH = 1000
_AROUND = 80
"""Characters of a snippet on either side of the mention."""

_SQL = load_statements("entities.sql")


class PostgresEntityStore:
    """Reads identities; every method may raise `DependencyUnavailable`."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def ranked(self, workflow_id: str, kind: str | None, limit: int) -> list[Entity]:
        """Return the identities of a run, or those of one kind, by PageRank."""
        rows = await self._fetch(_SQL["list_ranked"], workflow_id=workflow_id, kind=kind, limit=limit)
        return [Entity(*row) for row in rows]

    async def kinds(self, workflow_id: str) -> list[str]:
        """Return the kinds of identities that a run has, sorted."""
        async with self._pool.connection() as conn:
            rows = await conn.fetch("SELECT DISTINCT kind FROM identities WHERE workflow_id = $1", workflow_id)
        return sorted(row["kind"] for row in rows)

    async def named(self, workflow_id: str, name: str, limit: int) -> list[Entity]:
        """Return the identities that have a spelling, by PageRank; case and accents do not matter."""
        rows = await self._fetch(_SQL["list_named"], workflow_id=workflow_id, name=name, limit=limit)
        return [Entity(*row) for row in rows]

    async def suggestions(self, workflow_id: str, name: str) -> list[str]:
        """Return names of identities that are spelt like this one, the most similar first."""
        best: list[tuple[float, str]] = []
        wanted = utils.default_process(name)
        async with self._pool.transaction() as conn:
            names = await conn.cursor("SELECT DISTINCT name FROM identities WHERE workflow_id = $1", workflow_id)
            while block := await names.fetch(_NAMES_PER_FETCH, timeout=WHOLE_RUN_SECONDS):
                scored = [(fuzz.WRatio(wanted, utils.default_process(row["name"])), row["name"]) for row in block]
                best = heapq.nsmallest(SUGGESTIONS, [*best, *scored], key=lambda pair: (-pair[0], pair[1]))
        return [similar for score, similar in best if score >= _LEAST_SCORE]

    async def aliases(self, workflow_id: str, identity_id: str, limit: int) -> list[Alias]:
        """Return the spellings of an identity, the most frequent first."""
        rows = await self._fetch(_SQL["list_aliases"], workflow_id=workflow_id, identity_id=identity_id, limit=limit)
        return [Alias(*row) for row in rows]

    async def related(self, workflow_id: str, identity_id: str, limit: int) -> list[Relation]:
        """Return the identities that share the most documents with an identity."""
        rows = await self._fetch(_SQL["list_related"], workflow_id=workflow_id, identity_id=identity_id, limit=limit)
        return [Relation(*row) for row in rows]

    async def mentioned(self, workflow_id: str, identity_id: str, limit: int) -> list[CitedMention]:
        """Return the places that mention an identity, by document and offset.

        Each snippet is one line of printable text.
        """
        rows = await self._fetch(
            _SQL["list_mentioned"], workflow_id=workflow_id, identity_id=identity_id, around=_AROUND, limit=limit
        )
        return [_cite(row) for row in rows]

    async def _fetch(self, statement: Statement, **values: Any) -> list[Any]:
        async with self._pool.connection() as conn:
            return list(await conn.fetch(*statement.bind(**values)))


def _cite(row: Any) -> CitedMention:
    return CitedMention(
        row["document"],
        row["uri"],
        row["page"],
        row["start_offset"],
        "".join(character if character.isprintable() else " " for character in row["snippet"]),
        row["start_offset"] - row["first"],
        row["end_offset"] - row["first"],
    )
