"""Health checks of services, with a time limit.

A failing check never raises an error in the caller.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from perdure.checkpoint import ServiceState
from perdure.services.explanation import sentence


class Service(Protocol):
    """A component whose health a checkpoint records."""

    @property
    def name(self) -> str:
        """Return the name under which a checkpoint records the service."""
        ...

    async def health(self, workflow_id: str) -> dict[str, Any]:
        """Return the service's figures as JSON values.

        An unhealthy service raises an error with the reason.
        """
        ...


async def probe(service: Service, workflow_id: str, timeout_seconds: float) -> ServiceState:
    """Check one service and return its state; no error of the service reaches the caller.

    The metadata hold the service's figures and `round_trip_ms` (float, milliseconds). For an unhealthy service they
    also hold `why` (one sentence, without credentials). `last_check` is the time of the answer.
    """
    started = time.perf_counter()
    check = asyncio.ensure_future(_check_health(service, workflow_id))
    try:
        # `asyncio.wait` returns at the limit even if the check ignores its cancellation. `wait_for` would not.
        done, _ = await asyncio.wait({check}, timeout=timeout_seconds)
    except asyncio.CancelledError:
        _abandon(check)
        raise
    metadata: dict[str, Any] = {"round_trip_ms": round((time.perf_counter() - started) * 1000, 2)}
    if not done:
        _abandon(check)
        return _make_unhealthy(metadata, f"The service did not answer within {timeout_seconds:g} s.")
    if check.cancelled():
        return _make_unhealthy(metadata, "The check was cancelled before the service answered.")
    if error := check.exception():
        return _make_unhealthy(metadata, sentence(error))
    try:
        return ServiceState(status="healthy", last_check=datetime.now(UTC), metadata={**check.result(), **metadata})
    except (TypeError, ValueError):  # pydantic's error is a ValueError
        return _make_unhealthy(metadata, "The service reported a value that a checkpoint cannot hold.")


async def capture(services: Sequence[Service], workflow_id: str, timeout_seconds: float) -> dict[str, ServiceState]:
    """Check all services at once, and return their states by name.

    The check takes at most `timeout_seconds`.
    """
    states = await asyncio.gather(*(probe(service, workflow_id, timeout_seconds) for service in services))
    return {service.name: state for service, state in zip(services, states, strict=True)}


async def _check_health(service: Service, workflow_id: str) -> dict[str, Any]:
    """Call `health` inside the task, so that an early error fails the task too."""
    return await service.health(workflow_id)


def _abandon(check: "asyncio.Task[dict[str, Any]]") -> None:
    check.cancel()
    # The exception is retrieved, because asyncio logs exceptions that no caller retrieves.
    check.add_done_callback(lambda task: task.cancelled() or task.exception())


def _make_unhealthy(metadata: dict[str, Any], why: str) -> ServiceState:
    return ServiceState(status="unhealthy", last_check=datetime.now(UTC), metadata={**metadata, "why": why})
