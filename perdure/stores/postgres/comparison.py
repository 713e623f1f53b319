"""Makes fingerprints of the outputs of a run, so that two runs can be compared.

A fingerprint depends neither on the workflow id, nor on the order in which documents were discovered or finished, nor
on times, nor on the number of attempts. A fingerprint names documents by their URIs, so runs over the same files can be
compared.
"""

from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.statements import load_statements

COMPARISON_SQL = load_statements("comparison.sql")

_JOIN_DOCUMENTS = "{} o JOIN documents d USING (workflow_id, position)"
"""The join of a table of outputs with the documents that the outputs belong to."""
OUTPUTS = {
    "documents": (
        """d.uri, d.name, d.size_bytes, d.status, d.media_type, d.sha256, d.quality_score, d.title, d.properties,
           d.characters, d.chunk_count, d.mention_count, d.warnings, d.reason, d.error_type,
           d.authors, d.created, d.modified, d.language""",
        "(SELECT * FROM documents WHERE status <> 'removed') AS d",
    ),
    "texts": ("d.uri, o.text, o.page_offsets", _JOIN_DOCUMENTS.format("document_texts")),
    "sections": ("d.uri, o.ordinal, o.start_offset, o.level, o.heading", _JOIN_DOCUMENTS.format("document_sections")),
    "document_tables": (
        "d.uri, o.ordinal, o.start_offset, o.end_offset, o.page, o.cells, o.cut",
        _JOIN_DOCUMENTS.format("document_tables"),
    ),
    "chunks": ("d.uri, o.ordinal, o.start_offset, o.end_offset, o.embedding", _JOIN_DOCUMENTS.format("chunks")),
    "mentions": (
        "d.uri, o.ordinal, o.start_offset, o.end_offset, o.kind, o.surface, o.normalised, o.confidence",
        _JOIN_DOCUMENTS.format("mentions"),
    ),
    "identities": ("identity_id, kind, normalised, name, mention_count, document_count, confidence", "identities"),
    "members": ("identity_id, kind, normalised, rule, score", "identity_members"),
    "aliases": ("identity_id, surface, mention_count, rule, score", "identity_aliases"),
    "nodes": ("identity_id, pagerank, community, degree, strength", "graph_nodes"),
    "graph": ("source, target, weight", "graph_edges"),
    "tables": (
        "d.uri, o.characters, o.chunk_count, o.mention_count, o.identity_count, o.kinds",
        _JOIN_DOCUMENTS.format("document_statistics"),
    ),
    "vectors": ("d.uri, o.embedding", _JOIN_DOCUMENTS.format("document_vectors")),
}
"""Each kind of output, with the columns that are compared and the table or join that holds them."""


async def read_fingerprints(pool: PostgresPool, workflow_id: str) -> dict[str, str]:
    """Return the SHA-256 (hexadecimal) of each kind of output of a run.

    Raises:
        DependencyUnavailable: the database cannot be reached.
    """
    digests: dict[str, str] = {}
    async with pool.connection() as conn:
        for kind, (columns, table) in OUTPUTS.items():
            statement = COMPARISON_SQL["digest_output"].using(columns=columns, table=table)
            digests[kind] = await conn.fetchval(*statement.bind(workflow_id=workflow_id))
    return digests
