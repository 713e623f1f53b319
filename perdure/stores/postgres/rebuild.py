"""Repairs a damaged chain of checkpoints, by the rules of migrations/0006."""

from collections.abc import Sequence

import asyncpg

from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import CheckpointConflict, CheckpointGap, RefusedCommand
from perdure.stores.postgres.connection import PostgresPool

ROLE = "perdure_rebuild"
"""The database role that may replace checkpoints."""
REBUILD_SECONDS = 600.0
"""Time limit of the replacement, in seconds."""


async def rebuild_chain(
    pool: PostgresPool,
    workflow_id: str,
    first_sequence: int,
    checkpoints: Sequence[WorkflowCheckpoint],
    *,
    last_seen: int,
) -> int:
    """Replace the rows from `first_sequence` on, and return the length of the new chain.

    Args:
        pool: connections to the database.
        workflow_id: the run of the chain.
        first_sequence: the sequence from which rows are replaced; earlier rows stay.
        checkpoints: the new rows, in order.
        last_seen: the highest sequence that the caller has read. No row is replaced if the chain has another end.

    Raises:
        RefusedCommand: the role `ROLE` is missing, or the login may not act as this role.
        CheckpointConflict, CheckpointGap: the new rows do not continue the earlier rows, or the run has appended a row.
        DependencyUnavailable: the database cannot be used now.
    """
    content = [checkpoint.model_dump(mode="json") for checkpoint in checkpoints]
    async with pool.transaction() as conn:
        login = await conn.fetchval("SELECT current_user")
        if not await conn.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", ROLE):
            raise RefusedCommand(
                f"The database has no role {ROLE}; run this with a login that may create roles: CREATE ROLE {ROLE} "
                f"NOLOGIN; GRANT SELECT, INSERT, DELETE ON workflow_checkpoints TO {ROLE}; GRANT EXECUTE ON FUNCTION "
                f'rebuild_checkpoints TO {ROLE}; GRANT {ROLE} TO "{login}";'
            )
        # An append takes the same lock, so the chain does not grow until this transaction ends.
        await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 7234702))", workflow_id)
        last = await conn.fetchval(
            "SELECT coalesce(max(sequence), 0) FROM workflow_checkpoints WHERE workflow_id = $1", workflow_id
        )
        if last != last_seen:
            raise CheckpointGap(f"The run {workflow_id} has written checkpoint {last} since the audit.")
        try:
            await conn.execute(f"SET LOCAL ROLE {ROLE}")
        except asyncpg.InsufficientPrivilegeError as error:
            raise RefusedCommand(
                f"The login {login} may not act as the role {ROLE}; have a login that may grant it run: "
                f'GRANT {ROLE} TO "{login}";'
            ) from error
        try:
            stored = await conn.fetchval(
                "SELECT rebuild_checkpoints($1, $2, $3)",
                workflow_id,
                first_sequence,
                content,
                timeout=REBUILD_SECONDS,
            )
        except asyncpg.UniqueViolationError as error:
            raise CheckpointConflict(_make_sentence(error)) from error
        except (asyncpg.CheckViolationError, asyncpg.RestrictViolationError) as error:
            raise CheckpointGap(_make_sentence(error)) from error
        return int(stored)


def _make_sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[0].upper()}{text[1:]}."
