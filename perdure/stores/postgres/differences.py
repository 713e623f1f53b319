"""What two runs made differently, subject by subject; only what differs leaves the database."""

from dataclasses import dataclass

from perdure.stores.postgres.comparison import OUTPUTS, fingerprints
from perdure.stores.postgres.connection import PostgresPool

_SUBJECTS = {
    "identities": "kind || ' ' || name",
    "members": "kind || ' ' || normalised",
    "aliases": "surface",
    "nodes": "(SELECT n.kind || ' ' || n.name FROM identities n WHERE n.workflow_id = g.workflow_id AND "
    "n.identity_id = g.identity_id)",
    "graph": "(SELECT n.kind || ' ' || n.name FROM identities n WHERE n.workflow_id = g.workflow_id AND "
    "n.identity_id = g.source) || ' and ' || (SELECT n.kind || ' ' || n.name FROM identities n "
    "WHERE n.workflow_id = g.workflow_id AND n.identity_id = g.target)",
}
"""What a row is about; everything else is about a document."""
_TABLES = {"nodes": "graph_nodes g", "graph": "graph_edges g"}
_COMPARE = """
WITH one AS ({of_one}), other AS ({of_other})
SELECT coalesce(one.subject, other.subject) COLLATE "C" AS subject, coalesce(one.rows, 0) AS in_one,
       coalesce(other.rows, 0) AS in_other, count(*) OVER () AS differences
FROM one FULL JOIN other ON one.subject = other.subject
WHERE one.digest IS DISTINCT FROM other.digest
ORDER BY 1 LIMIT $3
"""
_ROWS = """
SELECT {subject} AS subject, count(*) AS rows,
       sha256(convert_to(string_agg(encode(sha256(convert_to(ROW({columns})::text, 'UTF8')), 'hex'), ''
              ORDER BY encode(sha256(convert_to(ROW({columns})::text, 'UTF8')), 'hex') COLLATE "C"), 'UTF8')) AS digest
FROM {table} WHERE workflow_id = {run} GROUP BY 1
"""
_COMPARE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Difference:
    """One subject of which two runs made something else; the numbers are of rows."""

    kind: str
    subject: str
    in_one: int
    in_other: int


@dataclass(frozen=True, slots=True)
class KindOfDifferences:
    """All differences of one kind of output: how many there are, and the first of them by subject."""

    kind: str
    count: int
    first: tuple[Difference, ...]


async def differences(pool: PostgresPool, one: str, other: str, limit: int) -> list[KindOfDifferences]:
    """Every kind of output in which two runs differ, with up to `limit` subjects each.

    Raises:
        DependencyUnavailable: the database cannot be reached.
    """
    prints = await fingerprints(pool, one), await fingerprints(pool, other)
    found = []
    for kind in OUTPUTS:
        if prints[0][kind] == prints[1][kind]:
            continue
        async with pool.connection() as conn:
            rows = await conn.fetch(_statement(kind), one, other, limit, timeout=_COMPARE_SECONDS)
        first = tuple(Difference(kind, row["subject"] or "", row["in_one"], row["in_other"]) for row in rows)
        found.append(KindOfDifferences(kind, rows[0]["differences"] if rows else 0, first))
    return found


def _statement(kind: str) -> str:
    columns, table = OUTPUTS[kind]
    subject = _SUBJECTS.get(kind, "d.uri")
    of_one, of_other = (
        _ROWS.format(subject=subject, columns=columns, table=_TABLES.get(kind, table), run=run) for run in ("$1", "$2")
    )
    return _COMPARE.format(of_one=of_one, of_other=of_other)
