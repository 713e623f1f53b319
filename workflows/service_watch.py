"""Captures unhealthy services on a timer.

The breaker therefore acts also while no document finishes. While every service is healthy, only checkpoints capture the
services. A capture costs about ten history events, so the watch makes at most one capture every ten seconds. The watch
makes no capture when the run is about to continue as new. The watch of the next execution then captures the services.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.services import ServiceActivities
from workflows.run import Run


class ServiceWatch:
    """Context manager that watches while documents are handed out, if the run has a breaker.

    Args:
        run: the run whose services are captured.
        on_change: called when the breaker has tripped or closed.
    """

    def __init__(self, run: Run, on_change: Callable[[], None]) -> None:
        """Keep the arguments; the watch starts when the context is entered."""
        self._run = run
        self._on_change = on_change
        self._ended = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        """Arm the breaker and start the watch."""
        self._run.breaker.armed = True
        if self._run.options.breaker_seconds:
            self._task = asyncio.create_task(self._watch())

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Disarm the breaker and end the watch."""
        self._ended = True
        self._run.breaker.armed = False
        if self._task and kind is None:
            # Without this wait, a capture could finish after the run has left the phase that hands out documents.
            await self._task

    async def _watch(self) -> None:
        run = self._run
        breaker = self._run.breaker
        while True:
            await workflow.wait_condition(lambda: self._is_over() or self._is_needed())
            if self._is_over():
                return
            observed_before = run.services_observed
            with suppress(asyncio.TimeoutError):
                await workflow.wait_condition(
                    lambda: self._is_over() or not self._is_needed(), timeout=breaker.interval(workflow.now())
                )
                continue
            if run.services_observed != observed_before:
                continue  # a checkpoint has captured the services during the wait
            try:
                services = await run.call(
                    ServiceActivities.capture_service_states,
                    run.service_request,
                    summary="re-check unhealthy services",
                )
            except ActivityError as error:
                run.broken = run.broken or error
                return
            if run.observe_services(services):
                self._on_change()

    def _is_over(self) -> bool:
        return self._ended or self._run.ending

    def _is_needed(self) -> bool:
        return self._run.breaker.needs_watching and not self._run.must_continue_as_new
