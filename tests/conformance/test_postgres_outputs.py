"""The outputs of one document are stored completely, in order, and within a time limit."""

from dataclasses import replace

import asyncpg
import numpy as np
import pytest

from perdure.analysis.annotations import EMBEDDING_DIMENSIONS, Chunk, Mention
from perdure.documents.document import ProcessedDocument, Table
from perdure.manifest import Lease
from perdure.stores.postgres import manifest as postgres_manifest
from perdure.stores.postgres import outputs as postgres_outputs
from perdure.stores.postgres.connection import SHORT_SECONDS, Connection, PostgresPool
from perdure.stores.postgres.manifest import PostgresManifestStore
from perdure.stores.postgres.outputs import CHUNKS_PER_STATEMENT, compute_time_limit, write_outputs
from tests.conformance.queued_run import RUN, queue
from tests.integration.made_documents import processed

CHUNKS = 7


def long_document() -> ProcessedDocument:
    """Return a document of several chunks, each with another vector, word and mention."""
    words = [f"word{letter}" for letter in "abcdefg"]
    vectors = np.zeros((CHUNKS, EMBEDDING_DIMENSIONS), dtype=np.float32)
    vectors[np.arange(CHUNKS), np.arange(CHUNKS)] = 1.0
    return replace(
        processed(" ".join(words)),
        chunks=tuple(Chunk(6 * number, 6 * number + 5) for number in range(CHUNKS)),
        embeddings=vectors,
        mentions=tuple(
            Mention(6 * number, 6 * number + 5, "person", word, word, number / 10) for number, word in enumerate(words)
        ),
    )


@pytest.fixture
async def store(pool: PostgresPool) -> PostgresManifestStore:
    return PostgresManifestStore(pool)


async def commit(store: PostgresManifestStore, document: ProcessedDocument) -> None:
    lease = Lease(await queue(store, "a.txt"), 1, 1)
    await store.lease_batch(RUN, lease, 0, 1)
    await store.commit(RUN, lease, 0, document, attempts=1)


@pytest.mark.parametrize("at_once", [1, 2, 3, CHUNKS - 1, CHUNKS, 100])
async def test_chunks_of_several_statements_keep_their_vectors(
    store: PostgresManifestStore, pool: PostgresPool, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(postgres_outputs, "CHUNKS_PER_STATEMENT", at_once)
    document = long_document()
    await commit(store, document)
    async with pool.connection() as conn:
        rows = await conn.fetch(
            """SELECT ordinal, embedding, passage, terms @@ plainto_tsquery('english', passage) AS is_found
               FROM chunks JOIN cited_chunks USING (workflow_id, position, ordinal) ORDER BY ordinal"""
        )
    assert [row["ordinal"] for row in rows] == list(range(CHUNKS))
    assert [row["passage"] for row in rows] == document.text.split()
    assert all(row["is_found"] for row in rows)
    assert np.array_equal(np.stack([row["embedding"] for row in rows]), document.embeddings)


async def test_mentions_and_tables_keep_their_order(
    store: PostgresManifestStore, superuser: asyncpg.Connection
) -> None:
    tables = tuple(
        Table(start=number, end=number + 1, page=None, rows=((f"cell {number}",),), cut=number == 1)
        for number in range(3)
    )
    document = replace(long_document(), tables=tables)
    await commit(store, document)
    mentions = await superuser.fetch("SELECT ordinal, start_offset, surface, confidence FROM mentions ORDER BY ordinal")
    assert [tuple(row) for row in mentions] == [
        (number, mention.start, mention.surface, mention.confidence) for number, mention in enumerate(document.mentions)
    ]
    rows = await superuser.fetch("SELECT ordinal, start_offset, cells, cut FROM document_tables ORDER BY ordinal")
    assert [tuple(row) for row in rows] == [
        (number, number, f'[["cell {number}"]]', number == 1) for number in range(3)
    ]


def test_time_limit_of_a_commit_grows_with_its_statements() -> None:
    """A commit of many chunks takes several statements, each with its own time."""
    document = processed()
    assert compute_time_limit(document) == SHORT_SECONDS
    for statements in (1, 2, 5):
        many = replace(document, chunks=document.chunks * (CHUNKS_PER_STATEMENT * statements))
        assert compute_time_limit(many) >= SHORT_SECONDS * statements


async def test_server_limits_the_time_of_a_copy(store: PostgresManifestStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the server, a COPY that waits for a stopped worker is a running statement."""
    limits: list[int] = []

    async def write_and_read_limit(conn: Connection, *arguments: object) -> None:
        await write_outputs(conn, *arguments)  # type: ignore[arg-type]  # the arguments of the original call
        limits.append(
            await conn.fetchval("SELECT setting::int / 1000 FROM pg_settings WHERE name = 'statement_timeout'")
        )

    monkeypatch.setattr(postgres_manifest, "write_outputs", write_and_read_limit)
    await commit(store, long_document())
    assert len(limits) == 1
    assert 0 < limits[0] <= 60
