"""Retire old checkpoints of one run or of all, in Postgres and in the files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestration.stores import Stores
from perdure.errors import DependencyUnavailable
from perdure.stores.files.json_file import PersistentCheckpointStore
from perdure.stores.postgres.retention import retire


@dataclass(frozen=True)
class Pruned:
    """What was retired of one run, or would be."""

    workflow_id: str
    checkpoints: int
    up_to_sequence: int
    in_files: int
    """How many of them were taken out of this data folder's file too."""


async def prune(
    stores: Stores, workflow_ids: Sequence[str], *, keep: int, older_than: datetime | None, dry_run: bool
) -> list[Pruned]:
    """Retire the oldest checkpoints of each run; never its latest, and what is left is a chain without a gap.

    Args:
        stores: open; Postgres decides, and the files follow.
        workflow_ids: which runs.
        keep: so many of the newest stay.
        older_than: only what was taken before this moment goes; None for whatever its age.
        dry_run: change nothing.

    Raises:
        RefusedCommand: the database's login may not delete checkpoints.
        DependencyUnavailable: Postgres cannot be reached.
    """
    pruned = []
    for workflow_id in workflow_ids:
        found = await retire(stores.pool, workflow_id, keep=keep, older_than=older_than, dry_run=dry_run)
        if found.checkpoints:
            in_files = 0 if dry_run else await _retire_in_files(stores, workflow_id, found.up_to_sequence)
            pruned.append(Pruned(workflow_id, found.checkpoints, found.up_to_sequence, in_files))
    return pruned


async def _retire_in_files(stores: Stores, workflow_id: str, up_to_sequence: int) -> int:
    """A file that cannot be written keeps more than it must, which is no harm."""
    retired = 0
    for store in stores.checkpoints:
        if isinstance(store, PersistentCheckpointStore):
            try:
                retired += await store.retire(workflow_id, up_to_sequence)
            except DependencyUnavailable:
                continue
    return retired
