"""Count the outputs of a finished run, for a summary on the screen."""

from dataclasses import dataclass

from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.statements import load_statements

_SQL = load_statements("runs.sql")


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The counts of a run's outputs; `top` holds names, each with kind and number of documents."""

    mentions: int
    identities: int
    chunks: int
    edges: int
    checkpoints: int
    top: tuple[tuple[str, str, int], ...]


async def summarise_run(pool: PostgresPool, workflow_id: str, top: int = 5) -> RunSummary:
    """Count the outputs of a run so far.

    Raises:
        DependencyUnavailable: the database cannot be reached.
    """
    async with pool.connection() as conn:
        row = await conn.fetchrow(*_SQL["count_outputs"].bind(workflow_id=workflow_id))
        names = await conn.fetch(*_SQL["list_top_names"].bind(workflow_id=workflow_id, limit=top))
    counts = dict(row) if row else dict.fromkeys(("mentions", "identities", "chunks", "edges", "checkpoints"), 0)
    return RunSummary(**counts, top=tuple((name["name"], name["kind"], name["document_count"]) for name in names))
