"""Calls of activities: a few quick attempts, then attempts without a limit.

The run shows the reason of each failure while it waits. A run must show why it waits, and workflow code cannot see the
server's own retries. The first attempts are therefore one activity with a small limit. When that activity fails, the
workflow records the reason and schedules the same work once more as a patient activity, which has no limit. An outage
of any length costs a constant number of history events.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

Request = TypeVar("Request")
Answer = TypeVar("Answer")

QUICK = RetryPolicy(initial_interval=timedelta(milliseconds=200), backoff_coefficient=2.0, maximum_attempts=3)
PATIENT = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=1.5, maximum_interval=timedelta(seconds=5)
)
WORKER_DIED = "WorkerDied"
"""Error type with which a live worker fails the activities of a dead one; see `orchestration.worker.reclaim`."""
SHORT_SECONDS = 15.0
LONG = timedelta(hours=24)


class Calls:
    """Executes the activities of one run.

    Args:
        heartbeat_timeout_seconds: time without a heartbeat after which the server retries a long activity.
        on_change: called when `waiting_for` changes.
    """

    def __init__(self, heartbeat_timeout_seconds: float, on_change: Callable[[], None]) -> None:
        """Start with no call that waits."""
        self._waiting: dict[int, str] = {}
        self._calls = 0
        self._heartbeat = timedelta(seconds=heartbeat_timeout_seconds)
        self._on_change = on_change

    @property
    def waiting_for(self) -> str | None:
        """Return the reason of the call that has waited longest; None while no call waits."""
        return next(iter(self._waiting.values()), None)

    async def __call__(
        self,
        method: Callable[[Any, Request], Awaitable[Answer]],
        request: Callable[[], Request],
        *,
        summary: str,
        long: bool = False,
    ) -> Answer:
        """Execute one activity until it answers.

        Args:
            method: the activity.
            request: builds the activity's input. It is called for each scheduling, so that each has its own fence.
            summary: text that the Web UI shows beside the activity.
            long: whether the activity heartbeats and may take hours; otherwise it must end within 15 seconds.

        Raises:
            ActivityError: the activity failed with a non-retryable error, or was cancelled.
            CancelledError: the calling task was cancelled.
        """
        self._calls += 1
        call = self._calls
        cancelled_before = _count_cancellations()
        for policy in (QUICK, PATIENT):
            try:
                answer: Answer = await workflow.execute_activity_method(
                    method,
                    request(),
                    summary=summary,
                    retry_policy=policy,
                    start_to_close_timeout=LONG if long else timedelta(seconds=SHORT_SECONDS),
                    heartbeat_timeout=self._heartbeat if long else None,
                    cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                )
            except ActivityError as error:
                self._waiting.pop(call, None)
                if policy is PATIENT or is_cancelled_exception(error) or _is_refused(error):
                    raise
                if _count_cancellations() > cancelled_before:
                    # The activity failed with another error before it could act on the cancellation. Without
                    # this check, the patient activity would be scheduled for work that must stop.
                    raise asyncio.CancelledError from error
                if not _is_lost_with_worker(error):
                    self._waiting[call] = _describe_failure(error)
                    self._on_change()
            except asyncio.CancelledError:
                self._waiting.pop(call, None)
                raise
            else:
                if self._waiting.pop(call, None):
                    self._on_change()
                return answer
        raise AssertionError("the patient activity returned neither an answer nor an error")  # pragma: no cover


def make_failure(error: ActivityError) -> ApplicationError:
    """Return the failure of a run whose activity failed permanently.

    The message of the failure is the activity's reason.
    """
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return ApplicationError(cause.message, type=cause.type, non_retryable=True)
    return ApplicationError(str(cause or error), type=error.activity_type, non_retryable=True)


def _count_cancellations() -> int:
    """Return how often the running task was cancelled.

    An activity that completes despite its cancellation hides the cancellation from its caller.
    """
    task = asyncio.current_task()
    return task.cancelling() if task else 0


def _is_refused(error: ActivityError) -> bool:
    """Return whether the activity failed with an error that the server must not retry."""
    return isinstance(error.cause, ApplicationError) and error.cause.non_retryable


def _is_lost_with_worker(error: ActivityError) -> bool:
    """Return whether the activity failed only because its worker died.

    Another worker then repeats the activity at once.
    """
    died = isinstance(error.cause, ApplicationError) and error.cause.type == WORKER_DIED
    # Histories from before this patch announced the death as an outage, which is a separate command.
    return died and workflow.patched("a-dead-worker-is-no-outage")


def _describe_failure(error: ActivityError) -> str:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return cause.message
    return f"The activity {error.activity_type} did not complete: {cause or error}"
