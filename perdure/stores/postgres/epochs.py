"""Claim epochs, and refuse writers of other epochs.

A writer that another run has replaced gets `StaleWriter`. A writer whose database was set back gets `StoreSetBack`.
"""

from perdure.errors import StaleWriter, StoreSetBack
from perdure.manifest import ManifestTotals
from perdure.stores.postgres.connection import Connection

INSERT_EPOCH = "INSERT INTO run_epochs (workflow_id, first_run_id, epoch) VALUES ($1, $2, $3)"
"""Records to which Temporal run an epoch was given."""


async def claim_epoch(
    conn: Connection, workflow_id: str, first_run_id: str, *, at_least: int, replaces: int | None
) -> int:
    """Return the epoch of a Temporal run, as `perdure.manifest.ManifestStore.claim` describes."""
    await conn.execute("INSERT INTO runs (workflow_id, epoch) VALUES ($1, 1) ON CONFLICT DO NOTHING", workflow_id)
    latest = await conn.fetchval("SELECT epoch FROM runs WHERE workflow_id = $1 FOR UPDATE", workflow_id)
    claimed = await conn.fetchval(
        "SELECT epoch FROM run_epochs WHERE workflow_id = $1 AND first_run_id = $2", workflow_id, first_run_id
    )
    if claimed is not None:
        return int(claimed)
    if replaces is not None and int(latest) > replaces:
        raise _make_stale(workflow_id)
    is_used = await conn.fetchval("SELECT EXISTS (SELECT FROM run_epochs WHERE workflow_id = $1)", workflow_id)
    epoch = max(at_least, int(latest) + bool(is_used))
    await conn.execute(INSERT_EPOCH, workflow_id, first_run_id, epoch)
    await conn.execute(
        "UPDATE runs SET epoch = $2, status = 'in_progress', updated_at = now() WHERE workflow_id = $1",
        workflow_id,
        epoch,
    )
    return epoch


async def lock_run(conn: Connection, workflow_id: str, epoch: int) -> None:
    """Lock the row of a run for this transaction, and refuse every epoch but the latest.

    Raises:
        StaleWriter: a later run has taken over.
        StoreSetBack: the database does not know this epoch.
    """
    latest = await conn.fetchval("SELECT epoch FROM runs WHERE workflow_id = $1 FOR UPDATE", workflow_id)
    check_epoch(workflow_id, latest, epoch)


def check_epoch(workflow_id: str, latest: int | None, epoch: int) -> None:
    """Refuse a writer whose epoch is not the latest; `latest` is None if the run has no row.

    Raises:
        StaleWriter: a later run has taken over.
        StoreSetBack: the database does not know this epoch, although it gave the epoch out itself.
    """
    if latest is None or latest < epoch:
        raise _make_set_back(f"The database does not know epoch {epoch} of {workflow_id}")
    if latest > epoch:
        raise _make_stale(workflow_id)


def explain_missing_queue(subject: str, workflow_id: str, latest: int | None, epoch: int) -> StaleWriter | StoreSetBack:
    """Return the error for a queue that lacks documents.

    Either a later epoch has taken the documents, or the database has lost them.

    Args:
        subject: what is missing, such as `Documents 3 to 5`.
        workflow_id: the run.
        latest: the latest epoch of the run, None if the run has no row.
        epoch: the epoch of the writer.
    """
    if latest is not None and latest > epoch:
        return StaleWriter(f"{subject} of {workflow_id} was taken over by a later run.")
    return _make_set_back(f"{subject} of {workflow_id} is not in the database any more")


def check_finished(workflow_id: str, totals: ManifestTotals, expected_finished: int) -> None:
    """Refuse a database that has fewer results than the workflow counts as finished.

    Raises:
        StoreSetBack: the database has fewer results.
    """
    if totals.pending or totals.total < expected_finished:
        raise StoreSetBack(
            f"All {expected_finished} documents of {workflow_id} had a result, and only "
            f"{totals.processed + totals.quarantined} have one now."
        )


def _make_set_back(loss: str) -> StoreSetBack:
    return StoreSetBack(f"{loss}: it was restored or replaced.")


def _make_stale(workflow_id: str) -> StaleWriter:
    return StaleWriter(f"The run {workflow_id} was taken over by a later one.")
