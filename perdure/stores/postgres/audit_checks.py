"""The checks of an audit, by the kind of difference; `sql/audit.sql` describes each."""

from perdure.stores.postgres.statements import Statement, load_statements

NAMED_AT_MOST = 20
"""Most differences of one kind that are named; further ones are only counted."""

STATEMENTS = load_statements("audit.sql", "analytics.sql")

_PROCESSED = "d.status = 'processed'"
_ANY_DOCUMENT = "d.position IS NOT NULL"


def _limit(check: Statement) -> Statement:
    return STATEMENTS["limited"].using(check=check.template, at_most=str(NAMED_AT_MOST))


def _find_miscounted(table: str, column: str) -> Statement:
    return STATEMENTS["miscounted"].using(table=table, column=column)


def _find_orphaned(table: str, allowed: str = _PROCESSED) -> Statement:
    return STATEMENTS["orphaned"].using(table=table, allowed=allowed)


def _find_misplaced(table: str) -> Statement:
    return STATEMENTS["misplaced"].using(table=table)


_DOCUMENT_CHECKS = {
    "missing_document": STATEMENTS["missing_document"],
    "missing_text": STATEMENTS["missing_text"],
    "wrong_text_length": STATEMENTS["wrong_text_length"],
    "wrong_chunk_count": _find_miscounted("chunks", "chunk_count"),
    "wrong_mention_count": _find_miscounted("mentions", "mention_count"),
    "incomplete_document": STATEMENTS["incomplete_document"],
    "orphaned_text": _find_orphaned("document_texts"),
    "orphaned_chunks": _find_orphaned("chunks"),
    "orphaned_mentions": _find_orphaned("mentions"),
    "orphaned_sections": _find_orphaned("document_sections"),
    "orphaned_tables": _find_orphaned("document_tables"),
    "orphaned_statistics": _find_orphaned("document_statistics", _ANY_DOCUMENT),
    "orphaned_vector": _find_orphaned("document_vectors", _ANY_DOCUMENT),
    "misplaced_chunks": _find_misplaced("chunks"),
    "misplaced_mentions": _find_misplaced("mentions"),
    "misplaced_tables": _find_misplaced("document_tables"),
}

_COVERAGE_KINDS = ("unfinished_document", "uncovered_document")

_SERVICE_KINDS = (
    "wrong_identity",
    "wrong_alias",
    "wrong_name",
    "wrong_graph",
    "wrong_edge",
    "wrong_node",
    "wrong_statistics",
    "wrong_vector",
)

DOCUMENT_CHECKS = {kind: _limit(check) for kind, check in _DOCUMENT_CHECKS.items()}
"""Checks that hold also during a run, because a document and its outputs are committed together."""

COVERAGE_CHECKS = {kind: _limit(STATEMENTS[kind]) for kind in _COVERAGE_KINDS}
"""Checks that compare documents with the ordinals that a checkpoint of the current epoch covers."""

SERVICE_CHECKS = {kind: _limit(STATEMENTS[kind]) for kind in _SERVICE_KINDS}
"""Checks that hold once the run is completed: identities, graph, statistics and vectors fit the documents."""
