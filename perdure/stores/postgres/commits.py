"""When each document of a run was committed, and under which lease."""

from dataclasses import dataclass
from datetime import datetime

from perdure.stores.postgres.connection import PostgresPool


@dataclass(frozen=True, slots=True)
class Commit:
    """How one document stands.

    `committed_at` is None until it has a result; `results` counts the texts stored for it. (`epoch`, `dispatch`,
    `attempt`) is the lease under which it was handed out last.
    """

    position: int
    name: str
    status: str
    committed_at: datetime | None
    epoch: int
    dispatch: int
    attempt: int
    results: int

    @property
    def in_flight(self) -> bool:
        """A worker has, or had, it in hand, and it has no result."""
        return self.status == "pending" and self.dispatch > 0


async def commits(pool: PostgresPool, workflow_id: str) -> list[Commit]:
    """Every document of the run, by position.

    Raises:
        DependencyUnavailable: Postgres cannot be reached.
    """
    async with pool.connection() as conn:
        rows = await conn.fetch(
            """SELECT position, name, status, committed_at, epoch, dispatch, attempt,
                      (SELECT count(*) FROM document_texts t
                       WHERE t.workflow_id = d.workflow_id AND t.position = d.position) AS results
               FROM documents d WHERE workflow_id = $1 ORDER BY position""",
            workflow_id,
        )
    return [Commit(**dict(row)) for row in rows]
