"""Fail activities of this worker that the server shows as started and that the worker lost.

While the server is unavailable, the SDK tries for some seconds to deliver a completion, and then drops the completion.
A task that the server sent over a breaking connection never arrives. In both cases the server shows the activity as
started until the heartbeat timeout. The worker compares its own list of activities with the server's list for the
worker's identity. An activity that the worker misses twice in a row is failed, so that the server retries the activity
at once. If the worker were wrong, the fence of each write would refuse the earlier attempt.
"""

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any

from temporalio import activity
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from orchestration.worker.reclaim import GONE, fail_activity

LOOK_EVERY_SECONDS = 2.5
LOST = "The worker does not execute this activity; the server retries the activity at once."
REMEMBER_SECONDS = 90.0
"""Time to watch a run after this worker's last activity for the run; longer than the heartbeat timeout."""
RUNS_AT_MOST = 64

Task = tuple[str, str, str, int]
"""Workflow id, run id, activity id, attempt."""

log = logging.getLogger("perdure.lost_activities")


class InHand(Interceptor):
    """The activities that this worker executes, and the runs that it recently worked for."""

    def __init__(self) -> None:
        self.tasks: set[Task] = set()
        self._last_worked: dict[tuple[str, str], float] = {}

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's
        """Return an interceptor that records each activity of this worker."""
        return _Recorder(next, self)

    def runs(self) -> list[tuple[str, str]]:
        """Return workflow id and run id of recently executed runs, the newest first."""
        since = time.monotonic() - REMEMBER_SECONDS
        self._last_worked = {run: moment for run, moment in self._last_worked.items() if moment > since}
        return sorted(self._last_worked, key=lambda run: -self._last_worked[run])[:RUNS_AT_MOST]

    def begin(self, task: Task) -> None:
        """Record that this worker has started to execute a task."""
        self.tasks.add(task)
        self.touch(task)

    def end(self, task: Task) -> None:
        """Record that this worker no longer executes a task."""
        self.tasks.discard(task)
        self.touch(task)

    def touch(self, task: Task) -> None:
        """Record that this worker has just worked for the task's run."""
        self._last_worked[task[0], task[1]] = time.monotonic()


class _Recorder(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, in_hand: InHand) -> None:  # noqa: A002 - the SDK's
        super().__init__(next)
        self._in_hand = in_hand

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's
        """Execute an activity, and record it while it is executed."""
        info = activity.info()
        task = (info.workflow_id or "", info.workflow_run_id or "", info.activity_id, info.attempt)
        self._in_hand.begin(task)
        try:
            return await super().execute_activity(input)
        finally:
            self._in_hand.end(task)


async def rescue_lost_activities(client: Client, identity: str, in_hand: InHand) -> None:
    """Look for lost tasks repeatedly; never returns.

    Args:
        client: a client of any identity.
        identity: the identity with which only this worker polls.
        in_hand: the activities that the worker executes.
    """
    missing: set[Task] = set()
    while True:
        await asyncio.sleep(LOOK_EVERY_SECONDS)
        try:
            not_in_hand = await _find_missing(client, identity, in_hand)
        except RPCError:
            continue  # the server is unavailable; a lost task stays lost until the server is available again
        lost = missing & not_in_hand
        for workflow_id, run_id, activity_id, _ in lost:
            with suppress(RPCError):  # the activity has timed out or ended in the meantime
                await fail_activity(
                    client,
                    workflow_id,
                    run_id,
                    activity_id,
                    LOST,
                )
        if lost:
            log.info("failed %d activities that were lost on their way from or to the server", len(lost))
        missing = not_in_hand - lost


async def _find_missing(client: Client, identity: str, in_hand: InHand) -> set[Task]:
    """Return the tasks that this worker started and no longer executes, according to the server."""
    started = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
    shown: set[Task] = set()
    for workflow_id, run_id in in_hand.runs():
        try:
            description = await client.get_workflow_handle(workflow_id, run_id=run_id).describe()
        except RPCError as error:
            if error.status in GONE:
                continue
            raise
        shown |= {
            (workflow_id, run_id, pending.activity_id, pending.attempt)
            for pending in description.raw_description.pending_activities
            if pending.state == started and pending.last_worker_identity == identity
        }
    return shown - in_hand.tasks
