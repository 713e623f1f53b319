"""`Stores`: Postgres and the checkpoint stores, opened together."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.settings import Settings
from perdure.checkpoint import Auditable, CheckpointStore, Prunable, WorkflowCheckpoint
from perdure.errors import DependencyUnavailable
from perdure.manifest import ManifestStore
from perdure.stores.files.json_file import PersistentCheckpointStore
from perdure.stores.objects.store import ObjectCheckpointStore
from perdure.stores.postgres.checkpoints import PostgresCheckpointStore
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.manifest import PostgresManifestStore


@dataclass(frozen=True)
class Stores:
    """All stores of a run.

    `checkpoints` is in the order of writing: no follower gets ahead of the leader.
    """

    pool: PostgresPool
    manifest: ManifestStore
    checkpoints: Sequence[CheckpointStore]

    @property
    def leader(self) -> CheckpointStore:
        """Return the checkpoint store that is written first: Postgres.

        Postgres also holds the results of the documents.
        """
        return self.checkpoints[0]

    @property
    def followers(self) -> Sequence[CheckpointStore]:
        """Return the other checkpoint stores. A follower may lag behind the leader."""
        return self.checkpoints[1:]

    @property
    def auditable(self) -> Sequence[Auditable]:
        """Return the followers that an audit can examine and repair.

        The audit of the leader has its own SQL.
        """
        return [store for store in self.followers if isinstance(store, Auditable)]

    @property
    def prunable(self) -> Sequence[Prunable]:
        """Return the followers that delete the checkpoints which the leader has retired."""
        return [store for store in self.followers if isinstance(store, Prunable)]

    async def latest(self, workflow_id: str) -> WorkflowCheckpoint | None:
        """Return the newest checkpoint in all the stores that answer; None if they have none.

        Raises:
            DependencyUnavailable: no store answers.
        """
        latest: list[WorkflowCheckpoint] = []
        failures: list[DependencyUnavailable] = []
        for store in self.checkpoints:
            try:
                checkpoint = await store.latest(workflow_id)
            except DependencyUnavailable as error:
                failures.append(error)
            else:
                latest += [checkpoint] if checkpoint else []
        if len(failures) == len(self.checkpoints):
            raise failures[0]
        return max(latest, key=lambda checkpoint: checkpoint.sequence, default=None)

    async def list(self, workflow_id: str) -> Sequence[WorkflowCheckpoint]:
        """Return all checkpoints of a workflow id, oldest first, from the first store that has some.

        Raises:
            DependencyUnavailable: a store does not answer, and no other store has a checkpoint.
        """
        failure: DependencyUnavailable | None = None
        for store in self.checkpoints:
            try:
                if checkpoints := await store.list(workflow_id):
                    return checkpoints
            except DependencyUnavailable as error:
                failure = failure or error
        if failure:
            raise failure
        return []

    async def close(self) -> None:
        """Close every store and the connections."""
        for store in self.checkpoints:
            await store.close()
        await self.pool.close()


def open_stores(settings: Settings) -> Stores:
    """Return the stores that the settings name. Each store connects at its first use."""
    pool = PostgresPool(settings.database_url)
    checkpoints: list[CheckpointStore] = [PostgresCheckpointStore(pool)]
    if settings.checkpoint_dir:
        checkpoints.append(PersistentCheckpointStore(settings.checkpoint_dir))
    if settings.checkpoint_url:
        checkpoints.append(ObjectCheckpointStore(settings.checkpoint_url))
    return Stores(pool, PostgresManifestStore(pool), checkpoints)
