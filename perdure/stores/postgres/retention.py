"""Retire old checkpoints: through the role that may, the oldest of a chain only, and on record."""

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from perdure.errors import RefusedCommand
from perdure.stores.postgres.connection import PostgresPool

_ROLE = "perdure_retention"

_KEPT_FROM = """
SELECT coalesce(max(sequence) FILTER (WHERE retired), 0) AS up_to, count(*) FILTER (WHERE retired) AS checkpoints,
       (array_agg(digest ORDER BY sequence DESC) FILTER (WHERE retired))[1] AS last_digest
FROM (
    SELECT sequence, digest,
           -- The oldest ones only: from the first that is kept on, everything is.
           bool_and(old) OVER (ORDER BY sequence) AS retired
    FROM (
        SELECT sequence, digest,
               row_number() OVER (ORDER BY sequence DESC) > greatest($2, 1)
               AND ($3::timestamptz IS NULL OR "timestamp" < $3) AS old
        FROM workflow_checkpoints WHERE workflow_id = $1
    ) AS judged
) AS chain
"""


@dataclass(frozen=True, slots=True)
class Retired:
    """How much of a run's chain was retired, or would be; nothing if `checkpoints` is 0."""

    workflow_id: str
    checkpoints: int
    up_to_sequence: int


async def retire(
    pool: PostgresPool, workflow_id: str, *, keep: int, older_than: datetime | None, dry_run: bool = False
) -> Retired:
    """Delete the oldest checkpoints of a run, in one transaction with the record of it.

    Args:
        pool: connected as a login that may take the role perdure_retention.
        workflow_id: which run.
        keep: so many of the newest stay, and always the latest.
        older_than: only what was taken before this moment is deleted; None for whatever its age.
        dry_run: only say what would be deleted.

    Raises:
        RefusedCommand: the login may not take the role.
        DependencyUnavailable: the database cannot be reached.
    """
    async with pool.transaction() as conn:
        # As an append does: the chain stands still meanwhile.
        await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 7234702))", workflow_id)
        row = await conn.fetchrow(_KEPT_FROM, workflow_id, keep, older_than)
        if row is None or not row["checkpoints"]:
            return Retired(workflow_id, 0, 0)
        if not dry_run:
            await _take_role(conn)
            await conn.execute(
                "DELETE FROM workflow_checkpoints WHERE workflow_id = $1 AND sequence <= $2", workflow_id, row["up_to"]
            )
            await conn.execute("RESET ROLE")
            await conn.execute(
                """INSERT INTO retired_checkpoints (workflow_id, up_to_sequence, last_digest, checkpoints)
                   VALUES ($1, $2, $3, $4)""",
                *(workflow_id, row["up_to"], row["last_digest"], row["checkpoints"]),
            )
        return Retired(workflow_id, row["checkpoints"], row["up_to"])


async def _take_role(conn: asyncpg.Connection | asyncpg.pool.PoolConnectionProxy) -> None:
    login = await conn.fetchval("SELECT current_user")
    try:
        await conn.execute(f"SET LOCAL ROLE {_ROLE}")
    except (
        asyncpg.InsufficientPrivilegeError,
        asyncpg.UndefinedObjectError,
        asyncpg.InvalidParameterValueError,
    ) as error:
        raise RefusedCommand(
            f"The login '{login}' may not delete checkpoints; whoever may can run: GRANT {_ROLE} TO {login};"
        ) from error
