"""Checkpoint stores in memory, of which some cannot be reached, for tests of decisions."""

from collections.abc import Sequence
from typing import cast

from orchestration.stores import Stores
from perdure.checkpoint import CheckpointStore, WorkflowCheckpoint
from perdure.errors import DependencyUnavailable
from perdure.manifest import ManifestStore
from perdure.stores.postgres.connection import PostgresPool


class HeldStore:
    """Holds a chain; `away` makes every call fail as if the storage could not be reached."""

    def __init__(self, name: str, held: Sequence[WorkflowCheckpoint] = (), *, away: bool = False) -> None:
        self.name = name
        self.held = list(held)
        self.away = away
        self.retired: list[tuple[str, int]] = []

    async def append(self, checkpoint: WorkflowCheckpoint) -> bool:
        self._raise_if_away()
        self.held.append(checkpoint)
        return True

    async def restore(self, checkpoints: Sequence[WorkflowCheckpoint]) -> int:
        self._raise_if_away()
        self.held += checkpoints
        return len(checkpoints)

    async def latest(self, workflow_id: str) -> WorkflowCheckpoint | None:
        self._raise_if_away()
        return self.held[-1] if self.held else None

    async def get(self, workflow_id: str | None, checkpoint_id: str) -> WorkflowCheckpoint | None:
        self._raise_if_away()
        return next((entry for entry in self.held if entry.checkpoint_id == checkpoint_id), None)

    async def list(self, workflow_id: str) -> Sequence[WorkflowCheckpoint]:
        self._raise_if_away()
        return list(self.held)

    async def workflow_ids(self) -> Sequence[str]:
        self._raise_if_away()
        return sorted({entry.workflow_id for entry in self.held})

    async def retire(self, workflow_id: str, up_to_sequence: int) -> int:
        self._raise_if_away()
        self.retired.append((workflow_id, up_to_sequence))
        return up_to_sequence

    async def close(self) -> None:
        pass

    def _raise_if_away(self) -> None:
        if self.away:
            raise DependencyUnavailable(self.name, "connection refused")


def stores_of(*stores: HeldStore) -> Stores:
    """Return these stores, the leader first, without a database."""
    return Stores(
        cast("PostgresPool", None), cast("ManifestStore", None), [cast("CheckpointStore", store) for store in stores]
    )
