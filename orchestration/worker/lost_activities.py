"""Take back from ourselves what the server believes that we are doing, and we are not.

While the server is away the SDK tries for some seconds to deliver a completion, and then drops it; and a task that was
handed to a connection just breaking never arrives. To the server both look like work in progress, until the heartbeat
timeout. Each worker knows better for its own identity: what the server shows twice in a row as started by it, and what
it does not have in hand, is tried again at once. Should that be wrong, the fences of every write refuse the attempt
that was given up.
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
REMEMBER_SECONDS = 90.0
"""How long a run is looked at after this worker last did something for it; longer than the heartbeat timeout."""
RUNS_AT_MOST = 64

Task = tuple[str, str, str, int]
"""Workflow id, run id, activity id, attempt."""

log = logging.getLogger("perdure.lost_activities")


class InHand(Interceptor):
    """What this worker is executing, and the runs that it has lately worked for."""

    def __init__(self) -> None:
        self.tasks: set[Task] = set()
        self._last_worked: dict[tuple[str, str], float] = {}

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's
        return _Note(next, self)

    def runs(self) -> list[tuple[str, str]]:
        """Workflow id and run id of those worked for lately, the latest first."""
        since = time.monotonic() - REMEMBER_SECONDS
        self._last_worked = {run: moment for run, moment in self._last_worked.items() if moment > since}
        return sorted(self._last_worked, key=lambda run: -self._last_worked[run])[:RUNS_AT_MOST]

    def begin(self, task: Task) -> None:
        self.tasks.add(task)
        self.touch(task)

    def end(self, task: Task) -> None:
        self.tasks.discard(task)
        self.touch(task)

    def touch(self, task: Task) -> None:
        self._last_worked[task[0], task[1]] = time.monotonic()


class _Note(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, in_hand: InHand) -> None:  # noqa: A002 - the SDK's
        super().__init__(next)
        self._in_hand = in_hand

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's
        info = activity.info()
        task = (info.workflow_id or "", info.workflow_run_id or "", info.activity_id, info.attempt)
        self._in_hand.begin(task)
        try:
            return await super().execute_activity(input)
        finally:
            self._in_hand.end(task)


async def rescue_lost_activities(client: Client, identity: str, in_hand: InHand) -> None:
    """Look again and again for tasks that are lost; never returns.

    Args:
        client: of any identity.
        identity: under which this worker polls; nobody else has it.
        in_hand: what the worker is doing.
    """
    missing: set[Task] = set()
    while True:
        await asyncio.sleep(LOOK_EVERY_SECONDS)
        try:
            found = await _missing(client, identity, in_hand)
        except RPCError:
            continue  # it is away; what is missing will still be when it is back
        lost = missing & found
        for workflow_id, run_id, activity_id, _ in lost:
            with suppress(RPCError):  # it has timed out or ended in this instant
                await fail_activity(client, workflow_id, run_id, activity_id, "It got lost; it is tried again at once.")
        if lost:
            log.info("took back %d activities that had got lost on their way from or to the server", len(lost))
        missing = found - lost


async def _missing(client: Client, identity: str, in_hand: InHand) -> set[Task]:
    """What the server shows as started by us, and is not in hand."""
    started = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
    found: set[Task] = set()
    for workflow_id, run_id in in_hand.runs():
        try:
            description = await client.get_workflow_handle(workflow_id, run_id=run_id).describe()
        except RPCError as error:
            if error.status in GONE:
                continue
            raise
        found |= {
            (workflow_id, run_id, pending.activity_id, pending.attempt)
            for pending in description.raw_description.pending_activities
            if pending.state == started and pending.last_worker_identity == identity
        }
    return found - in_hand.tasks
