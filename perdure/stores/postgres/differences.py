"""List what differs between the outputs of two runs, subject by subject.

The database compares the outputs; only the differences are sent to the caller.
"""

from dataclasses import dataclass

from perdure.stores.postgres.comparison import COMPARISON_SQL, OUTPUTS, read_fingerprints
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.statements import Statement


def _select_name(column: str) -> str:
    """Return a subquery for the kind and name of the identity in this column."""
    return (
        "(SELECT n.kind || ' ' || n.name FROM identities n "  # noqa: S608 - constants only
        f"WHERE n.workflow_id = g.workflow_id AND n.identity_id = g.{column})"
    )


_SUBJECT_OF_DOCUMENT = "d.uri"
_SUBJECTS = {
    "identities": "kind || ' ' || name",
    "members": "kind || ' ' || normalised",
    "aliases": "surface",
    "nodes": _select_name("identity_id"),
    "graph": f"{_select_name('source')} || ' and ' || {_select_name('target')}",
}
"""The subject of a row, by kind of output. The subject of every other kind is its document."""
_TABLES = {"nodes": "graph_nodes g", "graph": "graph_edges g"}
_COMPARE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Difference:
    """One subject whose outputs differ between two runs, with the number of its rows in each."""

    kind: str
    subject: str
    in_one: int
    in_other: int


@dataclass(frozen=True, slots=True)
class KindOfDifferences:
    """The differences of one kind of output: their number, and the first differences by subject."""

    kind: str
    count: int
    first: tuple[Difference, ...]


async def compare_runs(pool: PostgresPool, first_id: str, second_id: str, limit: int) -> list[KindOfDifferences]:
    """Return every kind of output in which two runs differ, with up to `limit` subjects each.

    Raises:
        DependencyUnavailable: the database cannot be reached.
    """
    digests = await read_fingerprints(pool, first_id)
    other_digests = await read_fingerprints(pool, second_id)
    kinds = []
    for kind in OUTPUTS:
        if digests[kind] == other_digests[kind]:
            continue
        statement = _compare(kind).bind(one=first_id, other=second_id, limit=limit)
        async with pool.connection() as conn:
            rows = await conn.fetch(*statement, timeout=_COMPARE_SECONDS)
        first = tuple(Difference(kind, row["subject"] or "", row["in_one"], row["in_other"]) for row in rows)
        kinds.append(KindOfDifferences(kind, rows[0]["differences"] if rows else 0, first))
    return kinds


def _compare(kind: str) -> Statement:
    columns, table = OUTPUTS[kind]
    rows = COMPARISON_SQL["digest_subjects"].using(
        subject=_SUBJECTS.get(kind, _SUBJECT_OF_DOCUMENT), columns=columns, table=_TABLES.get(kind, table)
    )
    return COMPARISON_SQL["compare_subjects"].using(
        left_subjects=rows.using(run=":one").template, right_subjects=rows.using(run=":other").template
    )
