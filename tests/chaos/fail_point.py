"""The fail-point of an armed worker, and the interceptors that reach it."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from temporalio import activity, workflow
from temporalio.worker import (
    ActivityInboundInterceptor,
    ContinueAsNewInput,
    ExecuteActivityInput,
    Interceptor,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

Strike = Callable[[], None]


class FailPoint:
    """Kills or stops this process at its `nth` call."""

    def __init__(self, marker: Path, nth: int, sent: signal.Signals = signal.SIGKILL) -> None:
        self.marker = marker
        self.nth = nth
        self.in_flight: set[bytes] = set()
        self.interrupted: set[bytes] = set()
        """Tokens of the activities that were in flight when the signal stopped the worker and have not ended since."""
        self.outside_file_locks = threading.RLock()
        """Held by this process while it holds the lock of a checkpoint file."""
        self._left = nth
        self._sent = sent

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._strike()

    def _strike(self) -> None:
        with self.marker.open("w") as file:
            file.write(str(os.getpid()))
            file.flush()
            os.fsync(file.fileno())
        self.interrupted = set(self.in_flight)
        with self.outside_file_locks:  # a process that is stopped inside the lock of a file would hold the lock forever
            os.kill(os.getpid(), self._sent)


class Continuation(Interceptor):
    """Writes a file when all activities have ended that were in flight when the worker stopped.

    The file tells a test that the continued worker has made its late writes, or tried to.
    """

    def __init__(self, strike: FailPoint) -> None:
        self.strike = strike

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Return an interceptor that follows each activity to its end."""
        strike = self.strike

        class Inbound(ActivityInboundInterceptor):
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
                token = activity.info().task_token
                strike.in_flight.add(token)
                try:
                    return await super().execute_activity(input)
                finally:
                    strike.in_flight.discard(token)
                    if token in strike.interrupted:
                        strike.interrupted.discard(token)
                        if not strike.interrupted:
                            strike.marker.with_suffix(".continued").touch()

        return Inbound(next)


class ArmedActivities(Interceptor):
    """Strikes before an activity starts, or after it returns and before the worker reports it."""

    def __init__(self, name: str, strike: Strike, *, before: bool) -> None:
        self.name = name
        self.strike = strike
        self.before = before

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Return an interceptor that strikes around the armed activity."""
        armed = self

        class Inbound(ActivityInboundInterceptor):
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
                is_armed = input.fn.__name__ == armed.name
                if is_armed and armed.before:
                    armed.strike()
                result = await super().execute_activity(input)
                if is_armed and not armed.before:
                    armed.strike()
                return result

        return Inbound(next)


class ArmedWorkflow(Interceptor):
    """Strikes between two commands of a workflow task, or at continue-as-new."""

    def __init__(self, strike: Strike, *, at_continue_as_new: bool) -> None:
        self.strike = strike
        self.at_continue_as_new = at_continue_as_new

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002 - the SDK's name
        """Return an interceptor class that strikes between commands or at continue-as-new."""
        armed = self

        class Outbound(WorkflowOutboundInterceptor):
            last_task = -1

            def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002 - the SDK's name
                task = workflow.info().get_current_history_length()
                if not armed.at_continue_as_new and task == self.last_task and not workflow.unsafe.is_replaying():
                    armed.strike()
                Outbound.last_task = task
                return super().start_activity(input)

            def continue_as_new(self, input: ContinueAsNewInput) -> NoReturn:  # noqa: A002 - the SDK's name
                if armed.at_continue_as_new:
                    armed.strike()
                super().continue_as_new(input)

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(Outbound(outbound))

        return Inbound
