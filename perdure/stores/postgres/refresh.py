"""Updates the results of an earlier run to the present content of its sources."""

from collections.abc import Sequence

from perdure.documents.document import PROCESSING_VERSION
from perdure.documents.sources.patterns import split_patterns
from perdure.stores.postgres.connection import Connection
from perdure.stores.postgres.statements import load_statements

_SQL = load_statements("refresh.sql")


async def refresh_results(conn: Connection, workflow_id: str, epoch: int, sources: Sequence[str], limit: int) -> int:
    """Refresh at most `limit` documents; return their number, 0 when all are up to date.

    One call is one step of `perdure.manifest.ManifestStore.refresh`, in the transaction that has locked the run.
    """
    bases = [split_patterns(source)[0] for source in sources]
    vanished = await conn.fetch(
        *_SQL["list_vanished"].bind(workflow_id=workflow_id, epoch=epoch, bases=bases, limit=limit)
    )
    if vanished:
        positions = [row["position"] for row in vanished]
        await _delete_results(conn, workflow_id, positions)
        await conn.execute(*_SQL["remove_documents"].bind(workflow_id=workflow_id, epoch=epoch, positions=positions))
        return len(positions)
    outdated = await conn.fetch(
        *_SQL["list_outdated"].bind(workflow_id=workflow_id, epoch=epoch, processed_by=PROCESSING_VERSION, limit=limit)
    )
    await forget_results(conn, workflow_id, [row["position"] for row in outdated], "outdated")
    return len(outdated)


async def forget_results(conn: Connection, workflow_id: str, positions: Sequence[int], cause: str) -> None:
    """Make documents pending again, and delete their results."""
    await _delete_results(conn, workflow_id, positions)
    await conn.execute(*_SQL["forget_results"].bind(workflow_id=workflow_id, positions=positions, cause=cause))


async def _delete_results(conn: Connection, workflow_id: str, positions: Sequence[int]) -> None:
    """Delete the texts of documents; the database deletes their chunks and mentions with them.

    Identities and graph stay, because every epoch makes them again.
    """
    await conn.execute(
        "DELETE FROM document_texts WHERE workflow_id = $1 AND position = ANY($2)", workflow_id, positions
    )
