"""Copy the documents and outputs that a run had at one of its checkpoints into a new run."""

from dataclasses import dataclass
from typing import Any

from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import RefusedCommand
from perdure.stores.postgres.connection import Connection, PostgresPool
from perdure.stores.postgres.epochs import INSERT_EPOCH
from perdure.stores.postgres.statements import load_statements

_COPIED_EPOCH = 1
"""The epoch in which copied documents count as finished, before the first epoch that the fork claims."""
_WHOLE_RUN_SECONDS = 3600.0
_OUTPUTS = {
    "document_texts": "text, page_offsets",
    "document_sections": "start_offset, ordinal, level, heading",
    "document_tables": "ordinal, start_offset, end_offset, page, cells, cut",
    "chunks": "ordinal, start_offset, end_offset, embedding, terms",
    "mentions": "ordinal, start_offset, end_offset, kind, surface, normalised, confidence",
}
"""The tables of outputs, and the columns that are copied."""

_SQL = load_statements("forks.sql")


@dataclass(frozen=True, slots=True)
class Copied:
    """The numbers of documents that a fork begins with: with results, and still to be processed."""

    processed: int
    quarantined: int
    pending: int


async def copy_run(pool: PostgresPool, checkpoint: WorkflowCheckpoint, target: str) -> Copied:
    """Copy the documents and outputs of a checkpoint in one transaction.

    A second call adds nothing.

    Args:
        pool: connections to the database.
        checkpoint: the checkpoint to begin with.
        target: the workflow id of the fork.

    Raises:
        RefusedCommand: the database does not have the run's documents, or `target` names another run.
        DependencyUnavailable: the database cannot be reached.
    """
    async with pool.transaction() as conn:
        await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 7234703))", target)
        if not await _is_copied(conn, checkpoint, target):
            await _copy(conn, checkpoint, target)
        row = await conn.fetchrow(*_SQL["count_copied"].bind(target=target))
    return Copied(**dict(row)) if row else Copied(0, 0, 0)


async def _copy(conn: Connection, checkpoint: WorkflowCheckpoint, target: str) -> None:
    origin = checkpoint.workflow_id
    data = checkpoint.state_data
    if not await conn.fetchval("SELECT EXISTS (SELECT FROM documents WHERE workflow_id = $1)", origin):
        raise RefusedCommand(f"The database has no documents of '{origin}', so no fork can begin there.")
    # The planner has no statistics of rows that this transaction writes, and would join them row by row.
    await conn.execute("SET LOCAL enable_nestloop = off")
    await conn.execute(
        *_SQL["insert_run"].bind(
            target=target, epoch=_COPIED_EPOCH, origin=origin, checkpoint_id=checkpoint.checkpoint_id
        )
    )
    await conn.execute(INSERT_EPOCH, target, f"fork of {checkpoint.checkpoint_id}", _COPIED_EPOCH)
    end = await conn.fetchval(*_SQL["find_end"].bind(origin=origin, total=data.documents_total, epoch=checkpoint.epoch))
    ranges = [(0, data.watermark), *data.beyond_watermark]
    await _run(
        conn,
        *_SQL["copy_finished"].bind(
            origin=origin,
            target=target,
            end=end,
            epoch=checkpoint.epoch,
            copied_epoch=_COPIED_EPOCH,
            firsts=[first for first, _ in ranges],
            pasts=[past for _, past in ranges],
        ),
    )
    await _run(conn, *_SQL["copy_unfinished"].bind(origin=origin, target=target, end=end))
    for table, columns in _OUTPUTS.items():
        statement = _SQL["copy_outputs"].using(table=table, columns=columns)
        await _run(conn, *statement.bind(origin=origin, target=target))


async def _is_copied(conn: Connection, checkpoint: WorkflowCheckpoint, target: str) -> bool:
    """Return whether this fork was copied before, by an attempt that was interrupted later."""
    row = await conn.fetchrow(
        "SELECT forked_from_workflow, forked_from_checkpoint FROM runs WHERE workflow_id = $1", target
    )
    if row is None:
        return False
    if tuple(row) != (checkpoint.workflow_id, checkpoint.checkpoint_id):
        raise RefusedCommand(f"There is a run '{target}' already, and it is not a fork of this checkpoint.")
    return True


async def _run(conn: Connection, statement: str, *arguments: Any) -> None:
    await conn.execute(statement, *arguments, timeout=_WHOLE_RUN_SECONDS)
