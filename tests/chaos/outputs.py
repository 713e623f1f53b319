"""The outputs of a run, read by independent SQL.

The queries leave out columns that depend on time, attempt or order.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from perdure.stores.postgres.connection import PostgresPool

_BY_DOCUMENT = "FROM {} o JOIN documents d USING (workflow_id, position) WHERE o.workflow_id = $1"
_QUERIES = {
    "documents": """SELECT uri, name, status, media_type, sha256, quality_score, title, properties, characters,
                           chunk_count, mention_count, warnings, reason, error_type, authors, created, modified,
                           language
                    FROM documents WHERE workflow_id = $1 AND status <> 'removed'""",
    "texts": f"SELECT uri, text, page_offsets {_BY_DOCUMENT.format('document_texts')}",
    "sections": f"SELECT uri, o.ordinal, start_offset, level, heading {_BY_DOCUMENT.format('document_sections')}",
    "document_tables": f"""SELECT uri, o.ordinal, start_offset, end_offset, page, cells, cut
                           {_BY_DOCUMENT.format("document_tables")}""",
    "chunks": f"SELECT uri, o.ordinal, start_offset, end_offset, embedding {_BY_DOCUMENT.format('chunks')}",
    "mentions": f"""SELECT uri, o.ordinal, start_offset, end_offset, kind, surface, normalised, confidence
                    {_BY_DOCUMENT.format("mentions")}""",
    "identities": """SELECT identity_id, kind, normalised, name, mention_count, document_count, confidence
                     FROM identities WHERE workflow_id = $1""",
    "members": "SELECT identity_id, kind, normalised, rule, score FROM identity_members WHERE workflow_id = $1",
    "aliases": "SELECT identity_id, surface, mention_count, rule, score FROM identity_aliases WHERE workflow_id = $1",
    "graph": "SELECT node_count, edge_count FROM graphs WHERE workflow_id = $1",
    "nodes": "SELECT identity_id, pagerank, community, degree, strength FROM graph_nodes WHERE workflow_id = $1",
    "edges": "SELECT source, target, weight FROM graph_edges WHERE workflow_id = $1",
    "statistics": f"""SELECT uri, o.characters, o.chunk_count, o.mention_count, identity_count, kinds
                      {_BY_DOCUMENT.format("document_statistics")}""",
    "vectors": f"SELECT uri, o.embedding {_BY_DOCUMENT.format('document_vectors')}",
}


@dataclass(frozen=True)
class DocumentRow:
    """The status of a document; `results` is the number of texts stored for the document."""

    position: int
    name: str
    status: str
    committed_at: datetime | None
    results: int


async def outputs(pool: PostgresPool, workflow_id: str) -> dict[str, tuple[int, str]]:
    """Return the number of rows and a SHA-256 digest of the sorted rows, by kind of output."""
    digests: dict[str, tuple[int, str]] = {}
    async with pool.connection() as conn:
        for kind, query in _QUERIES.items():
            rows = await conn.fetch(f"SELECT row::text FROM ({query}) AS row", workflow_id)
            lines = sorted(row["row"] for row in rows)
            digests[kind] = (len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest())
    return digests


async def document_rows(pool: PostgresPool, workflow_id: str) -> list[DocumentRow]:
    """Return the documents of the manifest, in the order of their positions."""
    async with pool.connection() as conn:
        rows = await conn.fetch(
            """SELECT position, name, status, committed_at,
                      (SELECT count(*) FROM document_texts t
                       WHERE t.workflow_id = d.workflow_id AND t.position = d.position) AS results
               FROM documents d WHERE workflow_id = $1 ORDER BY position""",
            workflow_id,
        )
    return [DocumentRow(**dict(row)) for row in rows]
