"""The constraints of the tables refuse contradictory rows from every login."""

import uuid
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from orchestration.embedded.postgres import EmbeddedPostgres
from perdure.stores.postgres.discovered import hash_uri
from tests.conformance.chains import make_checkpoint

RUN = "INSERT INTO runs (workflow_id, epoch) VALUES ('other', 1)"
DOCUMENT = "UPDATE documents SET"
INSERT_DOCUMENT = """INSERT INTO documents (workflow_id, position, uri, name, source, size_bytes, version, epoch,
                                            ordinal) VALUES ('run', """
REFUSED = [
    ("UPDATE runs SET epoch = 0", "epoch_starts_at_one"),
    (f"{RUN}; UPDATE runs SET forked_from_workflow = 'run' WHERE workflow_id = 'other'", "forked_from_one_checkpoint"),
    ("INSERT INTO run_epochs (workflow_id, first_run_id, epoch) VALUES ('run', 'second', 1)", "one_run_per_epoch"),
    ("INSERT INTO run_epochs (workflow_id, first_run_id, epoch) VALUES ('run', 'first', 2)", "run_epochs_pkey"),
    (f"{INSERT_DOCUMENT} 1, 'file:///a', 'a', 's', 1, 'v', 1, 1)", "a_document_once_per_run"),
    (f"{INSERT_DOCUMENT} 1, 'file:///b', 'b', 's', 1, 'v', 1, 0)", "one_document_per_ordinal"),
    (f"{INSERT_DOCUMENT} 0, 'file:///b', 'b', 's', 1, 'v', 1, 1)", "documents_pkey"),
    (f"{DOCUMENT} status = 'done'", "known_document_status"),
    (f"{DOCUMENT} status = 'processed', quality_score = 1", "processed_has_its_result"),
    (f"{DOCUMENT} status = 'processed', sha256 = 'ab'", "processed_has_its_result"),
    (f"{DOCUMENT} status = 'quarantined', reason = 'It is torn.'", "quarantined_has_its_reason"),
    (f"{DOCUMENT} status = 'quarantined', error_type = 'DamagedDocument'", "quarantined_has_its_reason"),
    (f"{DOCUMENT} quality_score = 1.01", "quality_between_0_and_1"),
    (f"{DOCUMENT} cause = 'moved'", "known_cause"),
    (f"{DOCUMENT} status = 'removed'", "removed_in_an_epoch"),
    (f"{DOCUMENT} removed_epoch = 1", "removed_in_an_epoch"),
    ("INSERT INTO document_texts (workflow_id, position, text, page_offsets) VALUES ('run', 7, '', '{}')",
     "document_texts_workflow_id_position_fkey"),
    ("INSERT INTO document_texts (workflow_id, position, text, page_offsets) VALUES ('run', 0, '', '{}')",
     "document_texts_pkey"),
    ("""INSERT INTO chunks (workflow_id, position, ordinal, start_offset, end_offset, embedding)
        SELECT 'run', 7, 0, 0, 1, array_fill(0, ARRAY[256])::vector""", "chunks_workflow_id_position_fkey"),
    ("""INSERT INTO retired_checkpoints (workflow_id, up_to_sequence, last_digest, checkpoints)
        VALUES ('run', 0, 'd', 1)""", "something_was_retired"),
    ("INSERT INTO resolutions (workflow_id, epoch) VALUES ('run', 0)", "resolved_in_an_epoch"),
    ("INSERT INTO graph_edges (workflow_id, source, target, weight) VALUES ('run', 'b', 'a', 1)",
     "edges_are_undirected"),
    ("INSERT INTO graph_edges (workflow_id, source, target, weight) VALUES ('run', 'a', 'b', 0)",
     "weight_counts_documents"),
]  # fmt: skip
"""Statements, and the constraint that refuses each."""


@pytest.fixture(scope="module")
def database_url(postgres_server: EmbeddedPostgres, _template: str) -> Iterator[str]:
    """Return the address of one database for all tests of this file: each test rolls its changes back."""
    name = f"constraints_{uuid.uuid4().hex[:12]}"
    postgres_server.create_database(name, template=_template)
    yield postgres_server.dsn(name)
    postgres_server.drop_database(name)


@pytest.fixture
async def run(superuser: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    """Return a connection in a transaction that has made one run, whose only document has a text."""
    transaction = superuser.transaction()
    await transaction.start()
    await superuser.execute(
        f"""INSERT INTO runs (workflow_id, epoch) VALUES ('run', 1);
            INSERT INTO run_epochs (workflow_id, first_run_id, epoch) VALUES ('run', 'first', 1);
            INSERT INTO graphs (workflow_id, node_count, edge_count) VALUES ('run', 0, 0);
            {INSERT_DOCUMENT} 0, 'file:///a', 'a', 's', 1, 'v', 1, 0);
            INSERT INTO document_texts (workflow_id, position, text, page_offsets) VALUES ('run', 0, 'text', '{{}}')"""
    )
    yield superuser
    await transaction.rollback()


@pytest.mark.parametrize(("statement", "constraint"), REFUSED, ids=[constraint for _, constraint in REFUSED])
async def test_contradictory_row_is_refused(run: asyncpg.Connection, statement: str, constraint: str) -> None:
    with pytest.raises((asyncpg.IntegrityConstraintViolationError, asyncpg.UniqueViolationError)) as refused:
        await run.execute(statement)
    assert refused.value.constraint_name == constraint


async def test_checkpoint_counts_no_negative_number_of_documents(superuser: asyncpg.Connection) -> None:
    checkpoint = make_checkpoint("run")
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await superuser.execute(
            """INSERT INTO workflow_checkpoints (checkpoint_id, workflow_id, timestamp, processed_documents, state_data,
                                                 service_states, metadata)
               VALUES ($1, 'run', $2, -1, '{}', '{}', $3)""",
            checkpoint.checkpoint_id,
            checkpoint.timestamp,
            '{"sequence": 1, "epoch": 1, "digest": "d", "previous_digest": ""}',
        )
    assert refused.value.constraint_name == "processed_documents_are_counted"


async def test_text_takes_its_outputs_with_it(run: asyncpg.Connection) -> None:
    await run.execute(
        """INSERT INTO chunks (workflow_id, position, ordinal, start_offset, end_offset, embedding)
           SELECT 'run', 0, 0, 0, 1, array_fill(0, ARRAY[256])::vector;
           INSERT INTO mentions (workflow_id, position, ordinal, start_offset, end_offset, kind, surface, normalised,
                                 confidence) VALUES ('run', 0, 0, 0, 1, 'person', 'A', 'a', 1);
           INSERT INTO document_sections (workflow_id, position, start_offset, ordinal, level, heading)
           VALUES ('run', 0, 0, 0, 1, 'A');
           INSERT INTO document_tables (workflow_id, position, ordinal, start_offset, end_offset, cells, cut)
           VALUES ('run', 0, 0, 0, 1, '[]', false)"""
    )
    await run.execute("DELETE FROM document_texts")
    for table in ("chunks", "mentions", "document_sections", "document_tables"):
        assert await run.fetchval(f"SELECT count(*) FROM {table}") == 0, table


async def test_key_of_a_uri_is_the_same_in_python(run: asyncpg.Connection) -> None:
    for uri in ("", "file:///a", "file:///é/名前", "s3://bucket/" + "x" * 9000):
        assert await run.fetchval("SELECT uri_key($1)", uri) == hash_uri(uri)
