"""What a run does when its stores are not where it left them: restored from a backup, lost, or the run itself reset.

An activity of the run is then refused for good. Whether another run has taken over, which is the end of this one, or
the stores were set back, only the stores can say: the run asks for a new epoch, and is given it in the second case.
"""

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows.run import Run

with workflow.unsafe.imports_passed_through():
    from activities.recovery import RecoverRequest, RecoverResult, RecoveryActivities

PATCH = "recover-from-a-store-set-back"
_SIGNS = frozenset({"StoreSetBack", "StaleWriter", "AlreadyCommitted", "CheckpointGap", "CheckpointConflict"})
MAX_IN_VAIN = 3
"""Recoveries in a row between which no document could be finished."""


def calls_for_recovery(run: Run, error: BaseException) -> bool:
    """Whether the run may go on after this error with a new epoch."""
    if not isinstance(error, ActivityError) or not isinstance(error.cause, ApplicationError):
        return False
    if error.cause.type not in _SIGNS or run.ending or run.recoveries_in_vain >= MAX_IN_VAIN:
        return False
    return workflow.patched(PATCH)  # histories from before must replay to their end


async def recover(run: Run, error: BaseException) -> None:
    """Take a new epoch, and everything that has no result with it; nothing may be in flight.

    Raises:
        ActivityError: another run has replaced this one, or the stores contradict each other.
    """
    state, info = run.state, workflow.info()
    why = error.cause.message if isinstance(error, ActivityError) and isinstance(error.cause, ApplicationError) else ""
    workflow.logger.warning("the stores are not where the run %s left them: %s", run.workflow_id, why)
    state.recoveries += 1
    in_vain = state.processed + state.quarantined <= run.finished_at_recovery
    run.recoveries_in_vain = run.recoveries_in_vain + 1 if in_vain else 0
    before, sequence = state.processed + state.quarantined, state.sequence
    result: RecoverResult = await run.call(
        RecoveryActivities.recover,
        lambda: RecoverRequest(
            workflow_id=run.workflow_id,
            claim=f"{info.run_id}/{state.recoveries}",
            epoch=state.epoch,
            sources=run.pipeline.sources,
            total=state.total,
        ),
        summary="bring run and stores together again",
        long=True,
    )
    run.names.clear()
    run.broken = None
    run.ended = None
    state.begin_epoch(result.epoch, result.totals)
    run.learn_names(0, result.names)
    if result.latest:
        state.sequence, state.digest, state.latest = result.latest.sequence, result.latest.digest, result.latest
    run.finished_at_recovery = state.processed + state.quarantined
    lost = max(0, before - state.processed - state.quarantined)
    state.recovered = _said(lost, before, result.restored, sequence, state.sequence)
    state.recovered_at_sequence = state.sequence
    run.announce()


def _said(lost: int, finished: int, restored: int, before: int, after: int) -> str:
    """One sentence for people: what was found, by the run's and the stores' own words, `before` and `after`."""
    if lost or restored:
        return (
            f"The database was set back: {lost} of {finished} finished documents had lost their results and are "
            f"processed again, and {restored} checkpoints came back from history."
        )
    if after > before:
        return f"The run was reset to checkpoint {before} and goes on after checkpoint {after}: nothing was lost."
    return "The run and the database were out of step and have been brought together: nothing was lost."
