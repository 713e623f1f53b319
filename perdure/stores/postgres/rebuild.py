"""Put a damaged chain of checkpoints right; the rules are the database's own (migrations/0006)."""

from collections.abc import Sequence

import asyncpg

from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import CheckpointConflict, CheckpointGap, RefusedCommand
from perdure.stores.postgres.connection import PostgresPool

ROLE = "perdure_rebuild"
REBUILD_SECONDS = 600.0


async def rebuild_chain(
    pool: PostgresPool,
    workflow_id: str,
    first_sequence: int,
    checkpoints: Sequence[WorkflowCheckpoint],
    *,
    last_seen: int,
) -> int:
    """Replace the rows from `first_sequence` on by these, in one transaction; returns how many there are now.

    Args:
        pool: of the database.
        workflow_id: whose chain.
        first_sequence: the rows before it stay.
        checkpoints: what comes after those, in order.
        last_seen: the highest sequence that the caller knows of; nothing is replaced if there is another one.

    Raises:
        RefusedCommand: our login may not act as the role that is needed.
        CheckpointConflict, CheckpointGap: these do not follow the rows that are kept, or the run has gone on.
        DependencyUnavailable: the database cannot be used now.
    """
    content = [one.model_dump(mode="json") for one in checkpoints]
    async with pool.transaction() as conn:
        login = await conn.fetchval("SELECT current_user")
        if not await conn.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", ROLE):
            raise RefusedCommand(
                f"The database has no role {ROLE}; whoever may create roles runs: CREATE ROLE {ROLE} NOLOGIN; GRANT "
                f"SELECT, INSERT, DELETE ON workflow_checkpoints TO {ROLE}; GRANT EXECUTE ON FUNCTION "
                f'rebuild_checkpoints TO {ROLE}; GRANT {ROLE} TO "{login}";'
            )
        await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 7234702))", workflow_id)  # as appends do
        last = await conn.fetchval(
            "SELECT coalesce(max(sequence), 0) FROM workflow_checkpoints WHERE workflow_id = $1", workflow_id
        )
        if last != last_seen:
            raise CheckpointGap(f"The run {workflow_id} has written checkpoint {last} meanwhile.")
        try:
            await conn.execute(f"SET LOCAL ROLE {ROLE}")
        except asyncpg.InsufficientPrivilegeError as error:
            raise RefusedCommand(
                f"The login {login} may not act as the role {ROLE}; whoever may grant it runs: "
                f'GRANT {ROLE} TO "{login}";'
            ) from error
        try:
            stored = await conn.fetchval(
                "SELECT rebuild_checkpoints($1, $2, $3)",
                *(workflow_id, first_sequence, content),
                timeout=REBUILD_SECONDS,
            )
        except asyncpg.UniqueViolationError as error:
            raise CheckpointConflict(_sentence(error)) from error
        except (asyncpg.CheckViolationError, asyncpg.RestrictViolationError) as error:
            raise CheckpointGap(_sentence(error)) from error
        return int(stored)


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[0].upper()}{text[1:]}."
