"""`open_queries`: opens read-only stores for search, entities and export."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from orchestration.client.workflow_ids import checked_workflow_id
from orchestration.embedded.configured import read_database_url
from perdure.errors import RefusedCommand, UnknownWorkflow
from perdure.services.search import PassageStore
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.entities import PostgresEntityStore
from perdure.stores.postgres.exports import PostgresExportStore
from perdure.stores.postgres.search import PostgresPassageStore


@dataclass(frozen=True)
class Queries:
    """The stores that the functions of this room read; all share one pool of connections."""

    passages: PassageStore
    entities: PostgresEntityStore
    exports: PostgresExportStore

    @classmethod
    def on(cls, pool: PostgresPool) -> "Queries":
        """Return stores that use this pool. The caller closes the pool."""
        return cls(PostgresPassageStore(pool), PostgresEntityStore(pool), PostgresExportStore(pool))

    async def choose_run(self, workflow_id: str | None) -> str:
        """Return the given workflow id, else that of the latest run with a processed document.

        Raises:
            UnknownWorkflow: the database does not know the given run.
            RefusedCommand: no run was given, and no run has processed a document yet.
        """
        return await choose_run(self.passages, workflow_id)


async def choose_run(passages: PassageStore, workflow_id: str | None) -> str:
    """Return the given workflow id, else that of the latest run with a processed document.

    Raises:
        UnknownWorkflow: the database does not know the given run.
        RefusedCommand: no run was given, and no run has processed a document yet.
    """
    if workflow_id:
        if not await passages.knows(checked_workflow_id(workflow_id)):
            raise UnknownWorkflow(f"No run with the workflow id '{workflow_id}' is known to the database.")
        return workflow_id
    if latest := await passages.latest_run():
        return latest
    raise RefusedCommand("No run has read any document yet, so there is nothing to search in.")


@asynccontextmanager
async def open_queries() -> AsyncIterator[Queries]:
    """Open the configured database, else the embedded database.

    The function reads no other setting, and connects to no other server.

    Raises:
        RefusedCommand: no database is configured, and the embedded Postgres does not run.
    """
    pool = PostgresPool(read_database_url())
    try:
        yield Queries.on(pool)
    finally:
        await pool.close()
