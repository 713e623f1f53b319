"""Recovery of a run whose stores do not hold what the run left in them.

The stores were restored from a backup, or lost, or the run was reset in Temporal. A store then refuses an activity of
the run for good. The same refusal appears when another run has replaced this one. Only the stores can tell the two
apart: the run asks for a new epoch, and the stores grant it unless another run holds the epoch.
"""

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows.run import Run

with workflow.unsafe.imports_passed_through():
    from activities.recovery import RecoverRequest, RecoverResult, RecoveryActivities

PATCH = "recover-from-a-store-set-back"
_SIGNS = frozenset({"StoreSetBack", "StaleWriter", "AlreadyCommitted", "CheckpointGap", "CheckpointConflict"})
MAX_IN_VAIN = 3
"""Most consecutive recoveries between which no document finished."""


def calls_for_recovery(run: Run, error: BaseException) -> bool:
    """Return whether the run may continue after this error with a new epoch."""
    if not isinstance(error, ActivityError) or not isinstance(error.cause, ApplicationError):
        return False
    if error.cause.type not in _SIGNS or run.ending or run.recoveries_in_vain >= MAX_IN_VAIN:
        return False
    # Histories from before this patch failed here, and must replay to the same end.
    return workflow.patched(PATCH)


async def recover(run: Run, error: BaseException) -> None:
    """Take a new epoch and queue every document that has no result; the caller ensures that nothing is in flight.

    Raises:
        ActivityError: another run has replaced this one, or the stores contradict each other.
    """
    state = run.state
    info = workflow.info()
    cause = error.cause if isinstance(error, ActivityError) else None
    reason = cause.message if isinstance(cause, ApplicationError) else ""
    workflow.logger.warning("the stores are not where the run %s left them: %s", run.workflow_id, reason)
    state.recoveries += 1
    in_vain = state.processed + state.quarantined <= run.finished_at_recovery
    run.recoveries_in_vain = run.recoveries_in_vain + 1 if in_vain else 0
    finished_before = state.processed + state.quarantined
    sequence_before = state.sequence
    result: RecoverResult = await run.call(
        RecoveryActivities.recover,
        lambda: RecoverRequest(
            workflow_id=run.workflow_id,
            claim=f"{info.run_id}/{state.recoveries}",
            epoch=state.epoch,
            sources=run.pipeline.sources,
            total=state.total,
        ),
        summary="reconcile the run with its stores",
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
    lost = max(0, finished_before - state.processed - state.quarantined)
    state.recovered = _describe_recovery(lost, finished_before, result.restored, sequence_before, state.sequence)
    state.recovered_at_sequence = state.sequence
    run.announce()


def _describe_recovery(lost: int, finished: int, restored: int, before: int, after: int) -> str:
    """Return one sentence on what the recovery found.

    Checkpoints record this sentence, and their digests cover it. Replay must rebuild each recorded digest, so these
    words never change.

    Args:
        lost: documents whose result was lost.
        finished: documents that had a result before.
        restored: checkpoints that the leading store got back from history.
        before: sequence of the run's latest checkpoint before the recovery.
        after: sequence of the stores' latest checkpoint.
    """
    if lost or restored:
        return (
            f"The database was set back: {lost} of {finished} finished documents had lost their results and are "
            f"processed again, and {restored} checkpoints came back from history."
        )
    if after > before:
        return f"The run was reset to checkpoint {before} and goes on after checkpoint {after}: nothing was lost."
    return "The run and the database were out of step and have been brought together: nothing was lost."
