"""`PostgresCheckpointStore`: checkpoints in the table `workflow_checkpoints`.

The database enforces the law of the chain (migrations/0002_checkpoints.sql); this module translates its refusals. An
append is one statement, so it takes one round trip and one commit. If the connection breaks during that commit, its
outcome is unknown; the retry then finds the row and reports that it was stored already.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg

from perdure.checkpoint import WorkflowCheckpoint, upgrade
from perdure.errors import CheckpointConflict, CheckpointGap, RefusedWrite, StaleWriter
from perdure.stores.postgres.connection import Connection, PostgresPool

_COLUMNS = 'checkpoint_id, workflow_id, "timestamp", processed_documents, state_data, service_states, metadata'

_APPEND = f"INSERT INTO workflow_checkpoints ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)"  # noqa: S608  constants only
LATEST = f"SELECT {_COLUMNS} FROM workflow_checkpoints WHERE workflow_id = $1 ORDER BY sequence DESC LIMIT 1"  # noqa: S608  constants only
"""The latest checkpoint of the workflow id `$1`."""
_GET = f"""SELECT {_COLUMNS} FROM workflow_checkpoints
           WHERE checkpoint_id = $2 AND ($1::text IS NULL OR workflow_id = $1)"""  # noqa: S608  constants only
_LIST = f"SELECT {_COLUMNS} FROM workflow_checkpoints WHERE workflow_id = $1 ORDER BY sequence"  # noqa: S608  constants only

_REFUSALS: dict[str, type[RefusedWrite]] = {
    "one_content_per_checkpoint": CheckpointConflict,
    "workflow_checkpoints_pkey": CheckpointConflict,
    "one_checkpoint_per_sequence": CheckpointGap,
    "checkpoints_follow_without_gap": CheckpointGap,
    "latest_epoch_writes": StaleWriter,
}


class PostgresCheckpointStore:
    """A `CheckpointStore` over Postgres.

    Args:
        pool: the connections. Its owner closes it.
    """

    name = "Postgres"

    def __init__(self, pool: PostgresPool) -> None:
        """Remember the pool; connect to nothing."""
        self._pool = pool

    async def append(self, checkpoint: WorkflowCheckpoint) -> bool:
        """Append one row; see `CheckpointStore.append`.

        Raises:
            StaleWriter: also if the epoch is lower than that of the run's row in `runs`.
        """
        async with self._pool.connection() as conn:
            return await append_checkpoint(conn, checkpoint)

    async def restore(self, checkpoints: Sequence[WorkflowCheckpoint]) -> int:
        """Append checkpoints of one workflow id that another store holds, all or none.

        Return the number of new checkpoints. Unlike `append`, this method accepts epochs lower than that of the run's
        row in `runs`, because each epoch was current when its checkpoint was written. Every other refusal is the same.
        """
        async with self._pool.transaction() as conn:
            added = 0
            for checkpoint in checkpoints:
                await conn.execute("SELECT set_config('perdure.restoring', $1, true)", checkpoint.workflow_id)
                added += await append_checkpoint(conn, checkpoint)
            return added

    async def latest(self, workflow_id: str) -> WorkflowCheckpoint | None:
        """Return the checkpoint of the highest sequence; None if there is none."""
        async with self._pool.connection() as conn:
            row = await conn.fetchrow(LATEST, workflow_id)
        return _make_checkpoint(row) if row else None

    async def get(self, workflow_id: str | None, checkpoint_id: str) -> WorkflowCheckpoint | None:
        """Return one checkpoint of this workflow id, or of any workflow id if `workflow_id` is None."""
        async with self._pool.connection() as conn:
            row = await conn.fetchrow(_GET, workflow_id, checkpoint_id)
        return _make_checkpoint(row) if row else None

    async def list(self, workflow_id: str) -> Sequence[WorkflowCheckpoint]:
        """Return all checkpoints of a workflow id, oldest first."""
        async with self._pool.connection() as conn:
            rows = await conn.fetch(_LIST, workflow_id)
        return [_make_checkpoint(row) for row in rows]

    async def workflow_ids(self) -> Sequence[str]:
        """Return every workflow id that has a checkpoint, sorted."""
        async with self._pool.connection() as conn:
            rows = await conn.fetch("SELECT workflow_id FROM latest_checkpoints")
        return sorted(row["workflow_id"] for row in rows)

    async def close(self) -> None:
        """Do nothing: the owner of the pool closes it."""


async def append_checkpoint(conn: Connection, checkpoint: WorkflowCheckpoint) -> bool:
    """Append over a given connection; see `PostgresCheckpointStore.append`.

    The connection may be inside a transaction.
    """
    content = checkpoint.model_dump(mode="json")
    try:
        outcome = await conn.execute(
            _APPEND,
            checkpoint.checkpoint_id,
            checkpoint.workflow_id,
            checkpoint.timestamp,
            checkpoint.processed_documents,
            content["state_data"],
            content["service_states"],
            content["metadata"],
        )
    except asyncpg.IntegrityConstraintViolationError as error:
        refusal = _REFUSALS.get(error.constraint_name or "")
        if refusal is None:
            raise
        sentence = str(error)
        raise refusal(f"{sentence[0].upper()}{sentence[1:]}.") from error
    return bool(outcome == "INSERT 0 1")


def _make_checkpoint(row: Any) -> WorkflowCheckpoint:
    return upgrade(dict(row))
