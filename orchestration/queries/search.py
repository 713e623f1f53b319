"""Search over the runs in Postgres; neither Temporal nor a worker is needed for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from orchestration.client.workflow_ids import checked_workflow_id
from orchestration.embedded.configured import read_database_url
from perdure.analysis.embeddings import WordLlamaEmbedder
from perdure.errors import RefusedCommand, UnknownWorkflow
from perdure.services.search import PassageStore, SearchService
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.search import PostgresPassageStore


@dataclass(frozen=True)
class Searching:
    service: SearchService
    passages: PassageStore

    async def run_to_search(self, workflow_id: str | None) -> str:
        """The run that was named, else the latest one that has read anything.

        Raises:
            UnknownWorkflow: the database does not know the one that was named.
            RefusedCommand: none was named, and none has read anything yet.
        """
        return await run_to_read(self.passages, workflow_id)


async def run_to_read(passages: PassageStore, workflow_id: str | None) -> str:
    """The run that was named, else the latest one that has read anything.

    Raises:
        UnknownWorkflow: the database does not know the one that was named.
        RefusedCommand: none was named, and none has read anything yet.
    """
    if workflow_id:
        if not await passages.knows(checked_workflow_id(workflow_id)):
            raise UnknownWorkflow(f"No run with the workflow id '{workflow_id}' is known to the database.")
        return workflow_id
    if latest := await passages.latest_run():
        return latest
    raise RefusedCommand("No run has read any document yet, so there is nothing to search in.")


@asynccontextmanager
async def open_search() -> AsyncIterator[Searching]:
    """Search with the embedded or configured database; what else is configured, or runs, is not looked at.

    Raises:
        RefusedCommand: no database is configured, and the embedded one does not run.
    """
    pool = PostgresPool(read_database_url())
    try:
        passages = PostgresPassageStore(pool)
        yield Searching(SearchService(passages, WordLlamaEmbedder()), passages)
    finally:
        await pool.close()
