"""How the workflow calls an activity: a few quick tries, then for as long as it takes, saying what it waits for.

A run must show that it waits, and the server's own retries are invisible to workflow code. So the first few tries are
one activity, and only when those fail does the workflow note the reason and schedule the same work once more without
a limit. An outage, however long, costs a constant number of history events.
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
"""The failure by which a dead worker's activities are taken back; see `orchestration.worker.reclaim`."""
SHORT_SECONDS = 15.0
LONG = timedelta(hours=24)


class Calls:
    """Executes activities for one run; `waiting_for` says what keeps it from going on, None while nothing does."""

    def __init__(self, heartbeat_timeout_seconds: float, on_change: Callable[[], None]) -> None:
        self._waiting: dict[int, str] = {}
        self._calls = 0
        self._heartbeat = timedelta(seconds=heartbeat_timeout_seconds)
        self._on_change = on_change

    @property
    def waiting_for(self) -> str | None:
        """Why the call that has waited longest does."""
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
            request: makes its input, anew for each time that it is scheduled, so that each has its own fence.
            summary: what the Web UI shows beside it.
            long: it heartbeats and may take hours; otherwise it takes seconds.

        Raises:
            ActivityError: it refused for good, or was cancelled.
            CancelledError: it was asked to stop.
        """
        self._calls += 1
        call, cancelled_before = self._calls, _cancellations()
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
                if policy is PATIENT or is_cancelled_exception(error) or _refused(error):
                    raise
                if _cancellations() > cancelled_before:
                    # It was asked to stop, and failed of something else before it could.
                    raise asyncio.CancelledError from error
                if not _only_its_worker_died(error):
                    self._waiting[call] = _why(error)
                    self._on_change()
            except asyncio.CancelledError:
                self._waiting.pop(call, None)
                raise
            else:
                if self._waiting.pop(call, None):
                    self._on_change()
                return answer
        raise AssertionError("a patient call ends by its answer or its error")  # pragma: no cover


def _cancellations() -> int:
    """How often the running task has been cancelled; an activity that answers all the same hides it."""
    task = asyncio.current_task()
    return task.cancelling() if task else 0


def _refused(error: ActivityError) -> bool:
    return isinstance(error.cause, ApplicationError) and error.cause.non_retryable


def _only_its_worker_died(error: ActivityError) -> bool:
    """Nothing is away then: the work goes on at once, elsewhere."""
    died = isinstance(error.cause, ApplicationError) and error.cause.type == WORKER_DIED
    return died and workflow.patched("a-dead-worker-is-no-outage")  # histories from before announced it


def _why(error: ActivityError) -> str:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return cause.message
    return f"{error.activity_type} did not come back: {cause or error}"
