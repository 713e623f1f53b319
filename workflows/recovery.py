"""Recovers a run whose stores do not hold what the run wrote to them.

A restore from a backup, a loss of the stores, or a reset of the run in Temporal causes this state. The stores then
refuse each write of the run, and no retry succeeds. The stores refuse the same writes when another run has replaced
this run. Only the stores can distinguish a set-back store from a replaced run. The run therefore asks for a new epoch,
and the stores grant the epoch unless another run has replaced this run.
"""

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows.run import Run

with workflow.unsafe.imports_passed_through():
    from activities.recovery import RecoverRequest, RecoverResult, RecoveryActivities

PATCH = "recover-from-a-store-set-back"
_RECOVERABLE_ERRORS = frozenset(
    {"StoreSetBack", "StaleWriter", "AlreadyCommitted", "CheckpointGap", "CheckpointConflict"}
)
_MAX_FRUITLESS = 3
"""Most consecutive recoveries after which no document has finished. A run with more of them fails."""


def calls_for_recovery(run: Run, error: BaseException) -> bool:
    """Return whether the run may continue after this error with a new epoch."""
    if not isinstance(error, ActivityError) or not isinstance(error.cause, ApplicationError):
        return False
    if error.cause.type not in _RECOVERABLE_ERRORS or run.ending or run.fruitless_recoveries >= _MAX_FRUITLESS:
        return False
    # Histories from before this patch failed here, and must replay to the same end.
    return workflow.patched(PATCH)


async def recover(run: Run, error: BaseException) -> None:
    """Take a new epoch, and queue every document that has no result.

    The caller ensures that no batch is in flight.

    Raises:
        ActivityError: another run has replaced this one, or the stores contradict each other.
    """
    state = run.state
    info = workflow.info()
    cause = error.cause if isinstance(error, ActivityError) else None
    reason = cause.message if isinstance(cause, ApplicationError) else ""
    workflow.logger.warning("the stores do not hold what the run %s wrote to them: %s", run.workflow_id, reason)
    state.recoveries += 1
    is_fruitless = state.processed + state.quarantined <= run.finished_at_recovery
    run.fruitless_recoveries = run.fruitless_recoveries + 1 if is_fruitless else 0
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
        summary="take a new epoch and queue lost documents",
        long=True,
    )
    run.names.clear()
    run.broken = None
    run.ended = None
    state.begin_epoch(result.epoch, result.totals)
    run.learn_names(0, result.names)
    if result.latest:
        state.sequence = result.latest.sequence
        state.digest = result.latest.digest
        state.latest = result.latest
    run.finished_at_recovery = state.processed + state.quarantined
    lost = max(0, finished_before - state.processed - state.quarantined)
    state.recovered = _describe_recovery(lost, finished_before, result.restored, sequence_before, state.sequence)
    state.recovered_at_sequence = state.sequence
    run.announce()


def _describe_recovery(lost: int, finished: int, restored: int, before: int, after: int) -> str:
    """Return one sentence on the losses that the recovery repaired.

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
