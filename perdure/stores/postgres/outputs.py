"""What processing made of one document, as rows; always inside the transaction that marks it processed."""

from perdure.analysis.annotations import EMBEDDING_DIMENSIONS
from perdure.documents.document import ProcessedDocument
from perdure.stores.postgres.connection import SHORT_SECONDS, Connection

CHUNKS_A_STATEMENT = 5_000
"""So that a book of a hundred thousand takes many short statements, and not one that runs out of its time."""
CHUNKS = """
INSERT INTO chunks (workflow_id, position, ordinal, start_offset, end_offset, embedding, terms)
SELECT $1, $2, $3 + place - 1, start_offset, end_offset,
       (($6::real[])[(place - 1) * $8 + 1 : place * $8])::vector(256), to_tsvector('english', passage)
FROM unnest($4::bigint[], $5::bigint[], $7::text[]) WITH ORDINALITY AS chunk (start_offset, end_offset, passage, place)
"""
# Vectors go as one array of numbers: what a connection knows of pgvector's own types is wrong, for a while, when a
# restored backup has made them anew, and no document must be blamed for that.


def seconds_to_write(document: ProcessedDocument) -> float:
    """How long the transaction may last that has `write_outputs` in it, even on a server that is busy."""
    return SHORT_SECONDS * (1 + len(document.chunks) // CHUNKS_A_STATEMENT)


async def write_outputs(conn: Connection, workflow_id: str, position: int, document: ProcessedDocument) -> None:
    """Insert text, sections, tables, chunks with their embeddings and terms, and mentions."""
    # A COPY waits for its client inside of a statement, where no limit on idle transactions ends it.
    await conn.execute("SET LOCAL statement_timeout = '60s'")
    await conn.execute(
        "INSERT INTO document_texts VALUES ($1, $2, $3, $4)",
        *(workflow_id, position, document.text, list(document.page_offsets)),
    )
    await _write_structure(conn, workflow_id, position, document)
    for start in range(0, len(document.chunks), CHUNKS_A_STATEMENT):
        part = document.chunks[start : start + CHUNKS_A_STATEMENT]
        await conn.execute(
            CHUNKS,
            *(workflow_id, position, start),
            *([chunk.start for chunk in part], [chunk.end for chunk in part]),
            document.embeddings[start : start + CHUNKS_A_STATEMENT].ravel().tolist(),
            *([document.text[chunk.start : chunk.end] for chunk in part], EMBEDDING_DIMENSIONS),
        )
    if document.mentions:
        await conn.copy_records_to_table(
            "mentions",
            columns=[
                *("workflow_id", "position", "ordinal", "start_offset", "end_offset"),
                *("kind", "surface", "normalised", "confidence"),
            ],
            records=[
                (
                    workflow_id,
                    position,
                    ordinal,
                    one.start,
                    one.end,
                    one.kind,
                    one.surface,
                    one.normalised,
                    one.confidence,
                )
                for ordinal, one in enumerate(document.mentions)
            ],
        )


async def _write_structure(conn: Connection, workflow_id: str, position: int, document: ProcessedDocument) -> None:
    if document.sections:
        await conn.copy_records_to_table(
            "document_sections",
            columns=["workflow_id", "position", "start_offset", "ordinal", "level", "heading"],
            records=[
                (workflow_id, position, one.offset, ordinal, one.level, one.heading)
                for ordinal, one in enumerate(document.sections)
            ],
        )
    if tables := document.tables:
        await conn.execute(  # not COPY, whose binary form JSON has none of
            """INSERT INTO document_tables
                   (workflow_id, position, ordinal, start_offset, end_offset, page, cells, cut)
               SELECT $1, $2, ordinal - 1, start_offset, end_offset, page, cells, cut
               FROM unnest($3::bigint[], $4::bigint[], $5::integer[], $6::jsonb[], $7::boolean[])
                    WITH ORDINALITY AS given (start_offset, end_offset, page, cells, cut, ordinal)""",
            *(workflow_id, position, [one.start for one in tables], [one.end for one in tables]),
            *([one.page for one in tables], [one.rows for one in tables], [one.cut for one in tables]),
        )
