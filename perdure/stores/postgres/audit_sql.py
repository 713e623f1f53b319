"""The checks of an audit: each statement gives one row an offence.

Columns: `position` of the document, NULL if it is about none; `subject`, what it is about; `expected` and `found`, as
text. Argument $1 is the workflow id.
"""

# ruff: noqa: S608  every statement is put together from constants

from perdure.stores.postgres.analytics import OCCURRENCES, STATISTICS_OF_RUN, VECTORS_OF_RUN
from perdure.stores.postgres.ranking import DEGREES

_DOCUMENT = "d.position, d.uri AS subject"


def _miscounted(table: str, column: str) -> str:
    return f"""
    SELECT {_DOCUMENT}, d.{column}::text AS expected, coalesce(o.found, 0)::text AS found
    FROM documents d LEFT JOIN (SELECT position, count(*) AS found, max(ordinal) + 1 AS top
                                FROM {table} WHERE workflow_id = $1 GROUP BY position) AS o USING (position)
    WHERE d.workflow_id = $1 AND d.status = 'processed'
      AND (coalesce(o.found, 0) IS DISTINCT FROM d.{column} OR coalesce(o.top, 0) IS DISTINCT FROM d.{column})
    """


def _orphaned(table: str, wanted_status: str = "d.status = 'processed'") -> str:
    return f"""
    SELECT o.position, coalesce(d.uri, 'document ' || o.position) AS subject, d.status AS expected,
           o.found::text AS found
    FROM (SELECT position, count(*) AS found FROM {table} WHERE workflow_id = $1 GROUP BY position) AS o
    LEFT JOIN documents d ON d.workflow_id = $1 AND d.position = o.position
    WHERE ({wanted_status}) IS NOT TRUE
    """


def _misplaced(table: str) -> str:
    return f"""
    SELECT {_DOCUMENT}, d.characters::text AS expected, count(*)::text AS found
    FROM {table} o JOIN documents d USING (workflow_id, position)
    WHERE workflow_id = $1 AND d.status = 'processed'
      AND (o.start_offset < 0 OR o.end_offset > d.characters OR o.start_offset > o.end_offset)
    GROUP BY d.position, d.uri, d.characters
    """


DOCUMENT_CHECKS = {
    "missing_document": """
    SELECT place AS position, 'document ' || place AS subject, NULL AS expected, NULL AS found
    FROM generate_series(0, (SELECT max(position) FROM documents WHERE workflow_id = $1)) AS place
    WHERE NOT EXISTS (SELECT FROM documents WHERE workflow_id = $1 AND position = place)
    """,
    "missing_text": f"""
    SELECT {_DOCUMENT}, NULL AS expected, NULL AS found
    FROM documents d LEFT JOIN document_texts o USING (workflow_id, position)
    WHERE d.workflow_id = $1 AND d.status = 'processed' AND o.position IS NULL
    """,
    "wrong_text_length": f"""
    SELECT {_DOCUMENT}, d.characters::text AS expected, length(o.text)::text AS found
    FROM documents d JOIN document_texts o USING (workflow_id, position)
    WHERE d.workflow_id = $1 AND d.status = 'processed' AND length(o.text) IS DISTINCT FROM d.characters
    """,
    "wrong_chunk_count": _miscounted("chunks", "chunk_count"),
    "wrong_mention_count": _miscounted("mentions", "mention_count"),
    "incomplete_document": f"""
    SELECT {_DOCUMENT}, d.status AS expected, concat_ws(', ',
               CASE WHEN sha256 IS NULL OR sha256 !~ '^[0-9a-f]{{64}}$' THEN 'sha256' END,
               CASE WHEN quality_score IS NULL THEN 'quality_score' END,
               CASE WHEN media_type IS NULL THEN 'media_type' END,
               CASE WHEN characters IS NULL THEN 'characters' END,
               CASE WHEN chunk_count IS NULL THEN 'chunk_count' END,
               CASE WHEN mention_count IS NULL THEN 'mention_count' END,
               CASE WHEN committed_at IS NULL THEN 'committed_at' END) AS found
    FROM documents d
    WHERE workflow_id = $1 AND status = 'processed'
      AND (sha256 IS NULL OR sha256 !~ '^[0-9a-f]{{64}}$' OR quality_score IS NULL OR media_type IS NULL
           OR characters IS NULL OR chunk_count IS NULL OR mention_count IS NULL OR committed_at IS NULL)
    UNION ALL
    SELECT {_DOCUMENT}, status, concat_ws(', ', CASE WHEN reason IS NULL THEN 'reason' END,
               CASE WHEN error_type IS NULL THEN 'error_type' END,
               CASE WHEN committed_at IS NULL THEN 'committed_at' END)
    FROM documents d
    WHERE workflow_id = $1 AND status = 'quarantined'
      AND (reason IS NULL OR error_type IS NULL OR committed_at IS NULL)
    """,
    "orphaned_text": _orphaned("document_texts"),
    "orphaned_chunks": _orphaned("chunks"),
    "orphaned_mentions": _orphaned("mentions"),
    "orphaned_sections": _orphaned("document_sections"),
    "orphaned_tables": _orphaned("document_tables"),
    "orphaned_statistics": _orphaned("document_statistics", "d.position IS NOT NULL"),
    "orphaned_vector": _orphaned("document_vectors", "d.position IS NOT NULL"),
    "misplaced_chunks": _misplaced("chunks"),
    "misplaced_mentions": _misplaced("mentions"),
    "misplaced_tables": _misplaced("document_tables"),
}
"""Hold at every moment, also while the run goes on: a document and its outputs are committed together."""

_COVERED = """
WITH covered AS (
    SELECT ordinal FROM unnest($3::bigint[], $4::bigint[]) AS range (first, past),
           LATERAL generate_series(first, past - 1) AS ordinal
)
"""
COVERAGE_CHECKS = {
    "unfinished_document": f"""{_COVERED}
    SELECT d.position, coalesce(d.uri, 'ordinal ' || covered.ordinal) AS subject, covered.ordinal::text AS expected,
           d.status AS found
    FROM covered LEFT JOIN documents d ON d.workflow_id = $1 AND d.epoch = $2 AND d.ordinal = covered.ordinal
    WHERE d.status IS NULL OR d.status NOT IN ('processed', 'quarantined')
    """,
    "uncovered_document": f"""{_COVERED}
    SELECT {_DOCUMENT}, d.status AS expected, d.epoch::text AS found
    FROM documents d
    WHERE d.workflow_id = $1 AND d.status IN ('processed', 'quarantined')
      AND (d.epoch > $2 OR d.epoch = $2 AND d.ordinal NOT IN (SELECT ordinal FROM covered))
    """,
}
"""Compare documents with what a checkpoint of the run's present epoch, $2, covers: ordinals from $3 to before $4."""


def _unlike(made: str, stored: str, key: str, position: str = "NULL::bigint") -> str:
    """Rows that only one of two queries gives; both give (key, value)."""
    return f"""
    SELECT {position} AS position, {key} AS subject, m.value AS expected, s.value AS found
    FROM ({made}) AS m FULL JOIN ({stored}) AS s USING (key)
    WHERE m.value IS DISTINCT FROM s.value
    """


SERVICE_CHECKS = {
    "wrong_identity": _unlike(
        """SELECT coalesce(i.kind || ' ' || i.normalised, m.kind || ' ' || m.normalised) AS key,
                  concat_ws(' ', count(*), count(DISTINCT position)) AS value
           FROM mentions m LEFT JOIN identity_members n USING (workflow_id, kind, normalised)
           LEFT JOIN identities i ON i.workflow_id = m.workflow_id AND i.identity_id = n.identity_id
           WHERE m.workflow_id = $1 AND $2::int IS NOT NULL GROUP BY 1""",
        """SELECT kind || ' ' || normalised AS key, concat_ws(' ', mention_count, document_count) AS value
           FROM identities WHERE workflow_id = $1""",
        "key",
    ),
    "wrong_alias": _unlike(
        """SELECT i.identity_id || ' ' || m.surface AS key, count(*)::text AS value
           FROM mentions m JOIN identity_members i USING (workflow_id, kind, normalised)
           WHERE workflow_id = $1 AND $2::int IS NOT NULL GROUP BY i.identity_id, m.surface""",
        """SELECT identity_id || ' ' || surface AS key, mention_count::text AS value
           FROM identity_aliases WHERE workflow_id = $1""",
        "key",
    ),
    "wrong_name": """
    SELECT NULL::bigint AS position, i.kind || ' ' || i.normalised AS subject, made.name AS expected, i.name AS found
    FROM identities i LEFT JOIN (
        SELECT identity_id, (array_agg(surface ORDER BY mention_count DESC, surface COLLATE "C"))[1] AS name
        FROM identity_aliases WHERE workflow_id = $1 AND $2::int IS NOT NULL GROUP BY identity_id) AS made
        USING (identity_id)
    WHERE i.workflow_id = $1 AND i.name IS DISTINCT FROM made.name
    """,
    "wrong_graph": """
    SELECT NULL::bigint AS position, 'graph' AS subject,
           concat((SELECT count(*) FROM identities WHERE workflow_id = $1), ' nodes and ',
                  (SELECT count(*) FROM graph_edges WHERE workflow_id = $1), ' edges') AS expected,
           (SELECT concat(node_count, ' nodes and ', edge_count, ' edges') FROM graphs WHERE workflow_id = $1) AS found
    WHERE $2::int IS NOT NULL AND NOT EXISTS (
        SELECT FROM graphs WHERE workflow_id = $1
          AND node_count = (SELECT count(*) FROM identities WHERE workflow_id = $1)
          AND edge_count = (SELECT count(*) FROM graph_edges WHERE workflow_id = $1))
    """,
    "wrong_edge": f"""{OCCURRENCES}
    {
        _unlike(
            '''SELECT a.identity_id || ' - ' || b.identity_id AS key, count(*)::text AS value
               FROM chosen a JOIN chosen b ON a.position = b.position AND a.identity_id < b.identity_id
               GROUP BY a.identity_id, b.identity_id''',
            '''SELECT source || ' - ' || target AS key, weight::text AS value
               FROM graph_edges WHERE workflow_id = $1''',
            "key",
        )
    }""",
    "wrong_node": _unlike(
        f"""SELECT identity_id AS key, concat_ws(' ', coalesce(degree, 0), coalesce(strength, 0)) AS value
            FROM identities i JOIN graphs g USING (workflow_id) LEFT JOIN ({DEGREES}) AS degrees USING (identity_id)
            WHERE i.workflow_id = $1 AND g.ranked AND $2::int IS NOT NULL""",
        """SELECT identity_id AS key, concat_ws(' ', degree, strength) AS value
           FROM graph_nodes WHERE workflow_id = $1""",
        "key",
    ),
    "wrong_statistics": _unlike(
        f"SELECT position AS key, made::text AS value FROM ({STATISTICS_OF_RUN}) AS made WHERE $2::int IS NOT NULL",
        "SELECT position AS key, s::text AS value FROM document_statistics AS s WHERE workflow_id = $1",
        "'document ' || key",
        "key",
    ),
    "wrong_vector": _unlike(
        f"SELECT position AS key, made::text AS value FROM ({VECTORS_OF_RUN}) AS made WHERE $2::int IS NOT NULL",
        "SELECT position AS key, v::text AS value FROM document_vectors AS v WHERE workflow_id = $1",
        "'document ' || key",
        "key",
    ),
}
"""Hold once the run is completed. Argument $2 is how many identities of a document enter the graph."""
