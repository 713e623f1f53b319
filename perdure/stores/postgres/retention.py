"""Retire the oldest checkpoints of a chain, through the role that may delete them."""

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from perdure.errors import RefusedCommand
from perdure.stores.postgres.connection import Connection, PostgresPool
from perdure.stores.postgres.statements import load_statements

_ROLE = "perdure_retention"
_SQL = load_statements("runs.sql")


@dataclass(frozen=True, slots=True)
class Retired:
    """The part of a run's chain that was retired, or would be retired by a dry run."""

    workflow_id: str
    checkpoints: int
    up_to_sequence: int


async def retire(
    pool: PostgresPool, workflow_id: str, *, keep: int, older_than: datetime | None, dry_run: bool = False
) -> Retired:
    """Delete the oldest checkpoints of a run, and record the deletion in the same transaction.

    Args:
        pool: the connections, of a login that may take the role perdure_retention.
        workflow_id: the run.
        keep: the number of newest checkpoints that stay; the latest always stays.
        older_than: only checkpoints taken before this moment are deleted; None deletes checkpoints of any age.
        dry_run: whether to return what would be deleted, and delete nothing.

    Raises:
        RefusedCommand: the login may not take the role.
        DependencyUnavailable: the database cannot be reached.
    """
    async with pool.transaction() as conn:
        # An append takes the same lock, so the chain does not grow until this transaction ends.
        await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 7234702))", workflow_id)
        row = await conn.fetchrow(*_SQL["find_retired"].bind(workflow_id=workflow_id, keep=keep, older_than=older_than))
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
                workflow_id,
                row["up_to"],
                row["last_digest"],
                row["checkpoints"],
            )
        return Retired(workflow_id, row["checkpoints"], row["up_to"])


async def _take_role(conn: Connection) -> None:
    login = await conn.fetchval("SELECT current_user")
    try:
        await conn.execute(f"SET LOCAL ROLE {_ROLE}")
    except (
        asyncpg.InsufficientPrivilegeError,
        asyncpg.UndefinedObjectError,
        asyncpg.InvalidParameterValueError,
    ) as error:
        raise RefusedCommand(
            f"The login '{login}' may not delete checkpoints; run this with a login that may grant roles: "
            f"GRANT {_ROLE} TO {login};"
        ) from error
