"""`prune`: retires old checkpoints in Postgres, then in the followers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from orchestration.stores import Stores
from perdure.errors import DependencyUnavailable
from perdure.stores.postgres.retention import retire


@dataclass(frozen=True)
class Pruned:
    """The checkpoints of one run that were retired; in a dry run, those that can be retired."""

    workflow_id: str
    checkpoints: int
    """Number of checkpoints retired in Postgres."""
    up_to_sequence: int
    in_files: int
    """Number of checkpoints removed from the run's file."""
    in_stores: dict[str, int] = field(default_factory=dict)
    """Number of checkpoints removed from each follower, by the name of the store."""


async def prune(
    stores: Stores, workflow_ids: Sequence[str], *, keep: int, older_than: datetime | None, dry_run: bool
) -> list[Pruned]:
    """Retire the oldest checkpoints of each run.

    The latest checkpoint stays, and the rest is a chain without a gap.

    Args:
        stores: the open stores. Postgres decides which checkpoints to retire; the followers remove the same ones.
        workflow_ids: the runs.
        keep: the number of newest checkpoints that stay, at least 1.
        older_than: only checkpoints taken before this time are retired; None for any age.
        dry_run: whether nothing is changed.

    Raises:
        RefusedCommand: the database's login may not delete checkpoints.
        DependencyUnavailable: Postgres cannot be reached.
    """
    pruned = []
    for workflow_id in workflow_ids:
        retired = await retire(stores.pool, workflow_id, keep=keep, older_than=older_than, dry_run=dry_run)
        if retired.checkpoints:
            removed = {} if dry_run else await _retire_in_followers(stores, workflow_id, retired.up_to_sequence)
            in_files = removed.get("files", 0)
            pruned.append(Pruned(workflow_id, retired.checkpoints, retired.up_to_sequence, in_files, removed))
    return pruned


async def _retire_in_followers(stores: Stores, workflow_id: str, up_to_sequence: int) -> dict[str, int]:
    removed = {}
    for store in stores.prunable:
        try:
            removed[store.name] = await store.retire(workflow_id, up_to_sequence)
        except DependencyUnavailable:
            # A follower that cannot be reached keeps old checkpoints, which harms nothing.
            continue
    return removed
