"""Store the outputs of one document, in the transaction that marks it processed."""

from perdure.analysis.annotations import EMBEDDING_DIMENSIONS
from perdure.documents.document import ProcessedDocument
from perdure.stores.postgres.connection import SHORT_SECONDS, Connection
from perdure.stores.postgres.statements import load_statements

CHUNKS_PER_STATEMENT = 5_000
"""Most chunks of one INSERT. A larger INSERT could exceed the time limit of a statement."""

OUTPUTS_SQL = load_statements("outputs.sql")

_SECTION_COLUMNS = ("workflow_id", "position", "start_offset", "ordinal", "level", "heading")
_MENTION_COLUMNS = (
    "workflow_id",
    "position",
    "ordinal",
    "start_offset",
    "end_offset",
    "kind",
    "surface",
    "normalised",
    "confidence",
)


def compute_time_limit(document: ProcessedDocument) -> float:
    """Return the time limit, in seconds, of a transaction that calls `write_outputs`."""
    return SHORT_SECONDS * (1 + len(document.chunks) // CHUNKS_PER_STATEMENT)


async def write_outputs(conn: Connection, workflow_id: str, position: int, document: ProcessedDocument) -> None:
    """Insert the text, sections, tables, chunks and mentions of a document."""
    # During a COPY the server waits for its client inside a statement, where no limit on idle transactions applies.
    await conn.execute("SET LOCAL statement_timeout = '60s'")
    await conn.execute(
        *OUTPUTS_SQL["insert_text"].bind(
            workflow_id=workflow_id,
            position=position,
            text=document.text,
            page_offsets=list(document.page_offsets),
        )
    )
    await _write_sections(conn, workflow_id, position, document)
    await _write_tables(conn, workflow_id, position, document)
    await _write_chunks(conn, workflow_id, position, document)
    await _write_mentions(conn, workflow_id, position, document)


async def _write_sections(conn: Connection, workflow_id: str, position: int, document: ProcessedDocument) -> None:
    if not document.sections:
        return
    await conn.copy_records_to_table(
        "document_sections",
        columns=_SECTION_COLUMNS,
        records=[
            (workflow_id, position, section.offset, ordinal, section.level, section.heading)
            for ordinal, section in enumerate(document.sections)
        ],
    )


async def _write_tables(conn: Connection, workflow_id: str, position: int, document: ProcessedDocument) -> None:
    if not document.tables:
        return
    await conn.execute(
        *OUTPUTS_SQL["insert_tables"].bind(
            workflow_id=workflow_id,
            position=position,
            starts=[table.start for table in document.tables],
            ends=[table.end for table in document.tables],
            pages=[table.page for table in document.tables],
            cells=[table.rows for table in document.tables],
            cuts=[table.cut for table in document.tables],
        )
    )


async def _write_chunks(conn: Connection, workflow_id: str, position: int, document: ProcessedDocument) -> None:
    for start in range(0, len(document.chunks), CHUNKS_PER_STATEMENT):
        end = start + CHUNKS_PER_STATEMENT
        chunks = document.chunks[start:end]
        await conn.execute(
            *OUTPUTS_SQL["insert_chunks"].bind(
                workflow_id=workflow_id,
                position=position,
                first_ordinal=start,
                starts=[chunk.start for chunk in chunks],
                ends=[chunk.end for chunk in chunks],
                embeddings=document.embeddings[start:end].ravel().tolist(),
                passages=[document.text[chunk.start : chunk.end] for chunk in chunks],
                dimensions=EMBEDDING_DIMENSIONS,
            )
        )


async def _write_mentions(conn: Connection, workflow_id: str, position: int, document: ProcessedDocument) -> None:
    if not document.mentions:
        return
    await conn.copy_records_to_table(
        "mentions",
        columns=_MENTION_COLUMNS,
        records=[
            (
                workflow_id,
                position,
                ordinal,
                mention.start,
                mention.end,
                mention.kind,
                mention.surface,
                mention.normalised,
                mention.confidence,
            )
            for ordinal, mention in enumerate(document.mentions)
        ],
    )
