"""Which epoch of a run writes, told apart from one that was replaced and from a database that was set back."""

from perdure.errors import StaleWriter, StoreSetBack


def check_epoch(workflow_id: str, latest: int | None, epoch: int) -> None:
    """Compare a writer's epoch with that in the run's row, which is None if there is no such row.

    Raises:
        StaleWriter: a later run has taken over.
        StoreSetBack: the database has never heard of this epoch, which it gave out itself.
    """
    if latest is None or latest < epoch:
        raise StoreSetBack(f"The database does not know epoch {epoch} of {workflow_id}: it was restored or replaced.")
    if latest > epoch:
        raise StaleWriter(f"The run {workflow_id} was taken over by a later one.")
