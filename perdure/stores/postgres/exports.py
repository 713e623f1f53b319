"""Read the rows of an export from one snapshot, each table in a fixed order."""

from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from perdure.services.analytics.export.tables import Table
from perdure.stores.postgres.connection import Connection, PostgresPool
from perdure.stores.postgres.identities import WHOLE_RUN_SECONDS

Rows = Sequence[tuple[Any, ...]]

_SLOW_DISK_SECONDS = 300.0
"""Seconds that the caller may take to write a block. The transaction holds no lock that a run waits for."""
_BY_URI = 'ORDER BY uri COLLATE "C"'
_BY_RANK = 'ORDER BY pagerank DESC NULLS LAST, mention_count DESC, identity_id COLLATE "C"'
_FROM = {
    "documents": ("described_documents", _BY_URI),
    "mentions": ("resolved_mentions", f"{_BY_URI}, ordinal"),
    "identities": ("ranked_identities", _BY_RANK),
    "nodes": ("ranked_identities", _BY_RANK),
    "aliases": (
        """(SELECT workflow_id, identity_id, surface, mention_count, rule, score::double precision
            FROM identity_aliases)""",
        'ORDER BY identity_id COLLATE "C", mention_count DESC, surface COLLATE "C"',
    ),
    "edges": ("graph_edges", 'ORDER BY source COLLATE "C", target COLLATE "C"'),
    "chunks": (
        "(SELECT c.*, d.uri FROM chunks c JOIN documents d USING (workflow_id, position))",
        f"{_BY_URI}, ordinal",
    ),
}
_COUNTED = {
    "documents": "described_documents",
    "nodes": "identities",
    "aliases": "identity_aliases",
    "edges": "graph_edges",
}
_OF_KINDS = "(SELECT identity_id FROM identities WHERE workflow_id = $1 AND kind = ANY($2::text[]))"
_KIND_FILTERS = {
    "mentions": "kind = ANY($2::text[])",
    "identities": "kind = ANY($2::text[])",
    "nodes": "kind = ANY($2::text[])",
    "aliases": f"identity_id IN {_OF_KINDS}",
    "edges": f"source IN {_OF_KINDS} AND target IN {_OF_KINDS}",
}
"""Conditions on the tables that hold entities. An edge is exported if both of its ends are of the chosen kinds."""
_OF_TEXTS = {"page": "page_offsets", "text": "text"}
"""Columns of an export that `ExportedRun` computes, and the column of `document_texts` that each needs."""


class ExportedRun:
    """One run at the moment of the snapshot.

    Args:
        conn: a connection inside the transaction of the snapshot.
        workflow_id: the run.
        kinds: the kinds of entities to export; an empty sequence exports all kinds.
    """

    def __init__(self, conn: Connection, workflow_id: str, kinds: Sequence[str] = ()) -> None:
        self._conn = conn
        self._run = workflow_id
        self._kinds = list(kinds)

    async def has_graph(self) -> bool:
        """Return whether the run has a graph."""
        return bool(await self._conn.fetchval("SELECT count(*) FROM graphs WHERE workflow_id = $1", self._run))

    async def kinds(self) -> list[str]:
        """Return the kinds of entities that the run has, sorted."""
        rows = await self._conn.fetch(
            "SELECT DISTINCT kind FROM identities WHERE workflow_id = $1 ORDER BY kind", self._run
        )
        return [row["kind"] for row in rows]

    async def count(self, table: Table) -> int:
        """Return the number of rows of a table."""
        condition, arguments = self._select(table)
        statement = f"SELECT count(*) FROM {_COUNTED.get(table.name, table.name)} WHERE {condition}"  # noqa: S608 - constants
        return int(await self._conn.fetchval(statement, *arguments, timeout=WHOLE_RUN_SECONDS))

    async def blocks(self, table: Table) -> AsyncIterator[Rows]:
        """Yield rows in the order of the table's columns, `table.block` of them at a time."""
        names = table.schema.names
        computed = [name for name in names if name in _OF_TEXTS]
        source, order = _FROM[table.name]
        columns = ", ".join(name for name in names if name not in _OF_TEXTS)
        place = ", position, start_offset, end_offset" if computed else ""
        condition, arguments = self._select(table)
        statement = f"SELECT {columns}{place} FROM {source} AS t WHERE {condition} {order}"  # noqa: S608 - constants
        cursor = await self._conn.cursor(statement, *arguments, timeout=WHOLE_RUN_SECONDS)
        while rows := await cursor.fetch(table.block, timeout=WHOLE_RUN_SECONDS):
            yield await self._compute(names, rows, computed) if computed else [tuple(row) for row in rows]

    def _select(self, table: Table) -> tuple[str, list[Any]]:
        """Return the condition on the rows of a table, and its arguments."""
        if self._kinds and table.name in _KIND_FILTERS:
            return f"workflow_id = $1 AND {_KIND_FILTERS[table.name]}", [self._run, self._kinds]
        return "workflow_id = $1", [self._run]

    async def _compute(self, names: Sequence[str], rows: Sequence[Any], computed: Sequence[str]) -> Rows:
        """Return the rows with the columns that are computed from the texts of their documents."""
        needed = ", ".join(_OF_TEXTS[name] for name in computed)
        texts = await self._conn.fetch(
            f"SELECT position, {needed} FROM document_texts WHERE workflow_id = $1 AND position = ANY($2::bigint[])",  # noqa: S608 - constants
            self._run,
            list({row["position"] for row in rows}),
            timeout=WHOLE_RUN_SECONDS,
        )
        by_position = {text["position"]: text for text in texts}
        functions = {"page": _find_page, "text": _cut_passage}
        return [
            tuple(
                functions[name](row, by_position[row["position"]]) if name in functions else row[name] for name in names
            )
            for row in rows
        ]


class PostgresExportStore:
    """Opens snapshots of runs for an export."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def snapshot(self, workflow_id: str, kinds: Sequence[str] = ()) -> AsyncIterator[ExportedRun]:
        """Yield a snapshot of the run, without later writes of other transactions.

        The pool reads an `OSError` raised in the block as a failure of the database.

        Raises:
            DependencyUnavailable: the database cannot be used now, or the connection was lost during the block.
        """
        async with self._pool.transaction() as conn:
            await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            await conn.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{_SLOW_DISK_SECONDS:.0f}s'")
            yield ExportedRun(conn, workflow_id, kinds)


def _find_page(row: Any, text: Any) -> int | None:
    """Return the page of a row, counted from 1, as the function `page_of` in SQL does."""
    return max(1, bisect_right(text["page_offsets"], row["start_offset"])) if text["page_offsets"] else None


def _cut_passage(row: Any, text: Any) -> str:
    return str(text["text"][row["start_offset"] : row["end_offset"]])
