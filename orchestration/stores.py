"""Everything that is stored, opened together: Postgres, its stores, and the checkpoint files."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.settings import Settings
from perdure.checkpoint import CheckpointStore, WorkflowCheckpoint
from perdure.errors import DependencyUnavailable
from perdure.manifest import ManifestStore
from perdure.stores.files.json_file import PersistentCheckpointStore
from perdure.stores.postgres.checkpoints import PostgresCheckpointStore
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.manifest import PostgresManifestStore


@dataclass(frozen=True)
class Stores:
    """`checkpoints` in the order in which they are written: Postgres first, so that the files never run ahead."""

    pool: PostgresPool
    manifest: ManifestStore
    checkpoints: Sequence[CheckpointStore]

    async def latest(self, workflow_id: str) -> WorkflowCheckpoint | None:
        """The newest checkpoint in any store that answers.

        Raises:
            DependencyUnavailable: none of them answers.
        """
        found: list[WorkflowCheckpoint] = []
        failures: list[DependencyUnavailable] = []
        for store in self.checkpoints:
            try:
                checkpoint = await store.latest(workflow_id)
            except DependencyUnavailable as error:
                failures.append(error)
            else:
                found += [checkpoint] if checkpoint else []
        if len(failures) == len(self.checkpoints):
            raise failures[0]
        return max(found, key=lambda checkpoint: checkpoint.sequence, default=None)

    async def list(self, workflow_id: str) -> Sequence[WorkflowCheckpoint]:
        """All checkpoints of a workflow id, oldest first, from the first store that has any."""
        failure: DependencyUnavailable | None = None
        for store in self.checkpoints:
            try:
                if found := await store.list(workflow_id):
                    return found
            except DependencyUnavailable as error:
                failure = failure or error
        if failure:
            raise failure
        return []

    async def close(self) -> None:
        for store in self.checkpoints:
            await store.close()
        await self.pool.close()


def open_stores(settings: Settings) -> Stores:
    """Open lazily: nothing is connected before it is used."""
    pool = PostgresPool(settings.database_url)
    checkpoints: list[CheckpointStore] = [PostgresCheckpointStore(pool)]
    if settings.checkpoint_dir:
        checkpoints.append(PersistentCheckpointStore(settings.checkpoint_dir))
    return Stores(pool, PostgresManifestStore(pool), checkpoints)
