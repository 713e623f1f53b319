"""A Temporal server for tests: it shows a test's pending activities, and records requests."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

SECONDS = 15.0
STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
SCHEDULED = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED


@dataclass
class RecordedServer:
    """Answers the calls of the worker's background tasks.

    A test cannot make the real server answer at the moments that these tests need.
    """

    runs: dict[str, list[PendingActivityInfo]] = field(default_factory=dict)
    """Workflow id, which is the run id too, to pending activities."""
    ended: set[str] = field(default_factory=set)
    """Runs that the server still lists, and does not know any more."""
    away_for: int = 0
    """Number of the next lists or descriptions that fail because the server is away."""
    refused: set[str] = field(default_factory=set)
    """Activities that are not started any more when they are failed."""
    failed: list[tuple[str, str]] = field(default_factory=list)
    """Workflow id and activity id of each failed activity."""
    failures: list[ApplicationError] = field(default_factory=list)
    freed: list[str] = field(default_factory=list)
    """Runs that were freed from their sticky queue."""
    queries: list[str] = field(default_factory=list)
    described: list[str] = field(default_factory=list)
    """The runs whose descriptions were requested, in order."""
    on_description: Callable[[int], None] = lambda _: None
    """Called before each description is answered, with its number from 1."""
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    """While this is not set, the server does not answer a list."""

    def __post_init__(self) -> None:
        self.answers.set()

    @property
    def client(self) -> Client:
        """Return a client of this server."""
        return cast(
            "Client",
            SimpleNamespace(
                namespace="default",
                workflow_service=SimpleNamespace(reset_sticky_task_queue=self._free),
                list_workflows=self._list,
                get_workflow_handle=self._get_workflow_handle,
                get_async_activity_handle=self._get_activity_handle,
            ),
        )

    def _get_workflow_handle(self, workflow_id: str, *, run_id: str) -> Any:
        assert workflow_id == run_id
        return SimpleNamespace(describe=lambda: self._describe(run_id))

    def _get_activity_handle(self, *, workflow_id: str, run_id: str, activity_id: str) -> Any:
        assert workflow_id == run_id
        return SimpleNamespace(fail=lambda error: self._fail(workflow_id, activity_id, error))

    async def _list(self, query: str) -> AsyncIterator[Any]:
        self.queries.append(query)
        await self.answers.wait()
        self._raise_if_away()
        for run in list(self.runs):
            yield SimpleNamespace(id=run, run_id=run)

    async def _free(self, request: Any) -> None:
        self._raise_if_ended(request.execution.run_id)
        self.freed.append(request.execution.run_id)

    async def _describe(self, run: str) -> Any:
        self.described.append(run)
        self.on_description(len(self.described))
        self._raise_if_away()
        self._raise_if_ended(run)
        await asyncio.sleep(0)
        return SimpleNamespace(raw_description=SimpleNamespace(pending_activities=list(self.runs.get(run, []))))

    async def _fail(self, workflow_id: str, activity_id: str, error: ApplicationError) -> None:
        if activity_id in self.refused:
            raise RPCError("no such activity", RPCStatusCode.NOT_FOUND, b"")
        self.failed.append((workflow_id, activity_id))
        self.failures.append(error)

    def _raise_if_away(self) -> None:
        if self.away_for:
            self.away_for -= 1
            raise RPCError("connection refused", RPCStatusCode.UNAVAILABLE, b"")

    def _raise_if_ended(self, run: str) -> None:
        if run in self.ended:
            raise RPCError("the workflow has ended", RPCStatusCode.NOT_FOUND, b"")


@asynccontextmanager
async def running(background: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run a background task of a worker during the block, and cancel the task at the end."""
    task = asyncio.create_task(background)
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds; TimeoutError after `SECONDS`."""
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.005)


def pending(
    activity_id: str,
    identity: str,
    *,
    state: PendingActivityState.ValueType = STARTED,
    attempt: int = 1,
    heartbeat_timeout: float = 30.0,
    started_ago: float = 0.0,
    heard_ago: float | None = None,
) -> PendingActivityInfo:
    """Return a pending activity as the server describes it.

    Args:
        activity_id: id of the activity.
        identity: identity of the worker that started the activity last.
        state: the state that the server shows.
        attempt: number of the attempt, from 1.
        heartbeat_timeout: the timeout in seconds; 0 for none.
        started_ago: seconds since the start of the attempt.
        heard_ago: seconds since the last heartbeat; None without a heartbeat.
    """
    activity = PendingActivityInfo(activity_id=activity_id, last_worker_identity=identity, state=state, attempt=attempt)
    current = datetime.now(UTC)
    activity.last_started_time.FromDatetime(current - timedelta(seconds=started_ago))
    if heard_ago is not None:
        activity.last_heartbeat_time.FromDatetime(current - timedelta(seconds=heard_ago))
    activity.activity_options.heartbeat_timeout.FromTimedelta(timedelta(seconds=heartbeat_timeout))
    return activity
