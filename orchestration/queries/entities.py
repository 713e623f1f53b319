"""Questions about identities, answered from Postgres; neither Temporal nor a worker is needed for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from orchestration.embedded.configured import read_settings
from orchestration.queries.search import run_to_read
from orchestration.settings import Settings
from orchestration.stores import open_stores
from perdure.errors import RefusedCommand
from perdure.services.analytics.entities import Entity
from perdure.services.search import PassageStore
from perdure.stores.postgres.entities import PostgresEntityStore
from perdure.stores.postgres.search import PostgresPassageStore

MAX_NAMESAKES = 10


@dataclass(frozen=True)
class Entities:
    store: PostgresEntityStore
    passages: PassageStore

    async def run(self, workflow_id: str | None) -> str:
        """As `run_to_read`."""
        return await run_to_read(self.passages, workflow_id)

    async def ranked(self, run: str, kind: str | None, limit: int) -> list[Entity]:
        """The identities of a run by PageRank.

        Raises:
            RefusedCommand: the run has none of that kind.
        """
        found = await self.store.ranked(run, kind, limit)
        if kind and not found:
            kinds = ", ".join(await self.store.kinds(run)) or "none at all"
            raise RefusedCommand(f"The run '{run}' has no entities of the kind {kind!r}; its kinds are: {kinds}.")
        return found

    async def named(self, run: str, name: str) -> list[Entity]:
        """The identities of that name, the highest ranked first; at least one.

        Raises:
            RefusedCommand: there is none; it says which are spelt alike.
        """
        if "\0" in name or not name.strip():
            raise RefusedCommand("A name has letters.")
        if found := await self.store.named(run, name.strip(), MAX_NAMESAKES):
            return found
        alike = " or ".join(f"'{other}'" for other in await self.store.suggestions(run, name))
        asked = f" Did you mean {alike}?" if alike else ""
        raise RefusedCommand(f"No entity of the run '{run}' is called {name!r}.{asked}")


@asynccontextmanager
async def open_entities(settings: Settings | None = None) -> AsyncIterator[Entities]:
    """Ask the embedded or configured database.

    Raises:
        RefusedCommand: no database is configured, and the embedded one does not run.
    """
    stores = open_stores(settings or read_settings())
    try:
        yield Entities(PostgresEntityStore(stores.pool), PostgresPassageStore(stores.pool))
    finally:
        await stores.close()
