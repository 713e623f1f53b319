"""What processing made of one document, as rows; always inside the transaction that marks it processed."""

from perdure.documents.document import ProcessedDocument
from perdure.stores.postgres.connection import Connection


async def write_outputs(conn: Connection, workflow_id: str, position: int, document: ProcessedDocument) -> None:
    """Insert text, chunks with their embeddings, and mentions."""
    # A COPY waits for its client inside of a statement, where no limit on idle transactions ends it.
    await conn.execute("SET LOCAL statement_timeout = '60s'")
    await conn.execute(
        "INSERT INTO document_texts VALUES ($1, $2, $3, $4)",
        *(workflow_id, position, document.text, list(document.page_offsets)),
    )
    if document.chunks:
        await conn.copy_records_to_table(
            "chunks",
            columns=["workflow_id", "position", "ordinal", "start_offset", "end_offset", "embedding"],
            records=[
                (workflow_id, position, ordinal, chunk.start, chunk.end, vector)
                for ordinal, (chunk, vector) in enumerate(zip(document.chunks, document.embeddings, strict=True))
            ],
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
