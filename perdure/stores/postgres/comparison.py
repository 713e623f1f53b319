"""Fingerprints of everything a run produced, to see whether two runs came to the same.

A fingerprint does not depend on the workflow id, on the order in which documents were found or finished, on any time,
or on how often something was tried. Documents are named by their URIs, so runs over the same files can be compared.
"""

from perdure.stores.postgres.connection import PostgresPool

_DIGEST = """
SELECT encode(sha256(convert_to(coalesce(
           string_agg(row_digest, '' ORDER BY row_digest COLLATE "C"), ''), 'UTF8')), 'hex')
FROM (SELECT encode(sha256(convert_to(ROW({columns})::text, 'UTF8')), 'hex') AS row_digest
      FROM {table} WHERE workflow_id = $1) AS rows
"""
"""Over the sorted digests of the rows: 64 bytes a row, however long its text is."""

OF_DOCUMENT = "{} o JOIN documents d USING (workflow_id, position)"
OUTPUTS = {
    "documents": (
        """d.uri, d.name, d.size_bytes, d.status, d.media_type, d.sha256, d.quality_score, d.title, d.properties,
           d.characters, d.chunk_count, d.mention_count, d.warnings, d.reason, d.error_type,
           d.authors, d.created, d.modified, d.language""",
        "(SELECT * FROM documents WHERE status <> 'removed') AS d",
    ),
    "texts": ("d.uri, o.text, o.page_offsets", OF_DOCUMENT.format("document_texts")),
    "sections": ("d.uri, o.ordinal, o.start_offset, o.level, o.heading", OF_DOCUMENT.format("document_sections")),
    "document_tables": (
        "d.uri, o.ordinal, o.start_offset, o.end_offset, o.page, o.cells, o.cut",
        OF_DOCUMENT.format("document_tables"),
    ),
    "chunks": ("d.uri, o.ordinal, o.start_offset, o.end_offset, o.embedding", OF_DOCUMENT.format("chunks")),
    "mentions": (
        "d.uri, o.ordinal, o.start_offset, o.end_offset, o.kind, o.surface, o.normalised, o.confidence",
        OF_DOCUMENT.format("mentions"),
    ),
    "identities": ("identity_id, kind, normalised, name, mention_count, document_count, confidence", "identities"),
    "members": ("identity_id, kind, normalised, rule, score", "identity_members"),
    "aliases": ("identity_id, surface, mention_count, rule, score", "identity_aliases"),
    "nodes": ("identity_id, pagerank, community, degree, strength", "graph_nodes"),
    "graph": ("source, target, weight", "graph_edges"),
    "tables": (
        "d.uri, o.characters, o.chunk_count, o.mention_count, o.identity_count, o.kinds",
        OF_DOCUMENT.format("document_statistics"),
    ),
    "vectors": ("d.uri, o.embedding", OF_DOCUMENT.format("document_vectors")),
}
"""Kind of output to what makes up one of it, and where it is stored."""


async def fingerprints(pool: PostgresPool, workflow_id: str) -> dict[str, str]:
    """SHA-256 (hexadecimal) of each kind of output of a run.

    Raises:
        DependencyUnavailable: the database cannot be reached.
    """
    found: dict[str, str] = {}
    async with pool.connection() as conn:
        for kind, (columns, table) in OUTPUTS.items():
            found[kind] = await conn.fetchval(_DIGEST.format(columns=columns, table=table), workflow_id)
    return found


async def results_per_document(pool: PostgresPool, workflow_id: str) -> dict[int, int]:
    """How many results each position of the manifest has: one for a finished document, whatever was retried."""
    async with pool.connection() as conn:
        rows = await conn.fetch(
            """SELECT d.position, count(t.position) + (d.status = 'quarantined')::int AS results
               FROM documents d LEFT JOIN document_texts t USING (workflow_id, position)
               WHERE d.workflow_id = $1 GROUP BY d.position, d.status ORDER BY d.position""",
            workflow_id,
        )
    return {row["position"]: row["results"] for row in rows}
