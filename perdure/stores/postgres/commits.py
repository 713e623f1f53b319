"""List when each document of a run was committed, and under which lease."""

from dataclasses import dataclass
from datetime import datetime

from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.statements import load_statements

_SQL = load_statements("runs.sql")


@dataclass(frozen=True, slots=True)
class Commit:
    """The state of one document.

    `committed_at` is None until the document has a result. `results` counts the texts stored for it. (`epoch`,
    `dispatch`, `attempt`) is its latest lease.
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
        """Whether the document was leased to a worker and has no result."""
        return self.status == "pending" and self.dispatch > 0


async def list_commits(pool: PostgresPool, workflow_id: str) -> list[Commit]:
    """Return every document of the run, by position.

    Raises:
        DependencyUnavailable: Postgres cannot be reached.
    """
    async with pool.connection() as conn:
        rows = await conn.fetch(*_SQL["list_commits"].bind(workflow_id=workflow_id))
    return [Commit(**dict(row)) for row in rows]
