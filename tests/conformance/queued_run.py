"""A run on Postgres with queued documents, and functions that read its tables."""

from collections.abc import Sequence

import asyncpg

from perdure.stores.postgres.manifest import PostgresManifestStore
from tests.integration.made_documents import discovered

RUN = "run"


async def queue(store: PostgresManifestStore, *names: str, run_id: str = "first", version: str = "v1") -> int:
    """Claim an epoch for a Temporal run, record and queue documents, and return the epoch."""
    epoch = await store.claim(RUN, run_id, at_least=1)
    await store.record(RUN, epoch, [discovered(name, version) for name in names])
    await store.enqueue_unfinished(RUN, epoch, quarantined=False)
    return epoch


async def read_table(conn: asyncpg.Connection, table: str) -> Sequence[tuple[object, ...]]:
    """Return all rows of a table, in a fixed order."""
    rows = await conn.fetch(f"SELECT * FROM {table} AS t ORDER BY t::text")
    return [tuple(row) for row in rows]
