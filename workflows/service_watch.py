"""Ask unhealthy services how they are, on a timer, so that the breaker does not depend on documents finishing.

While all are well nobody is asked besides the checkpoints. A probe is some ten events of history, so there is one every
ten seconds at the most, and none any more once the run should continue as new: its successor goes on asking.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.services import ServiceActivities
from workflows.run import Run


class ServiceWatch:
    """Watches while documents are handed out: between entering and leaving it, if the run has a breaker at all.

    Args:
        run: whose services.
        on_change: called when the breaker has tripped or lifted.
    """

    def __init__(self, run: Run, on_change: Callable[[], None]) -> None:
        self._run = run
        self._on_change = on_change
        self._ended = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._run.breaker.armed = True
        if self._run.options.breaker_seconds:
            self._task = asyncio.create_task(self._watch())

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._ended = True
        self._run.breaker.armed = False
        if self._task and kind is None:
            await self._task  # no question stays unanswered behind

    async def _watch(self) -> None:
        run, breaker = self._run, self._run.breaker
        while True:
            await workflow.wait_condition(lambda: self._over() or self._needed())
            if self._over():
                return
            asked = run.services_observed
            with suppress(asyncio.TimeoutError):
                await workflow.wait_condition(
                    lambda: self._over() or not self._needed(), timeout=breaker.interval(workflow.now())
                )
                continue
            if run.services_observed != asked:
                continue  # a checkpoint has asked meanwhile
            try:
                services = await run.call(
                    ServiceActivities.capture_service_states,
                    run.service_request,
                    summary="are the unhealthy services well again?",
                )
            except ActivityError as error:
                run.broken = run.broken or error
                return
            if run.observe_services(services):
                self._on_change()

    def _over(self) -> bool:
        return self._ended or self._run.ending

    def _needed(self) -> bool:
        return self._run.breaker.needs_watching and not self._run.must_continue_as_new
