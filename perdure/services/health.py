"""How a service is asked whether it is well: really, with a time limit, and without ever failing the one who asks."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from perdure.checkpoint import ServiceState
from perdure.services.explanation import sentence


class Service(Protocol):
    """Something whose health a checkpoint records."""

    @property
    def name(self) -> str:
        """Under which a checkpoint records it."""
        ...

    async def health(self, workflow_id: str) -> dict[str, Any]:
        """What it reports of itself as JSON values; raises when it is not well, saying why."""
        ...


async def probe(service: Service, workflow_id: str, timeout_seconds: float) -> ServiceState:
    """Ask one service; whatever it does, a `ServiceState` comes back.

    Its metadata holds what the service reports and `round_trip_ms` (float, milliseconds); for an unhealthy one also
    `why` (one sentence, without credentials). `last_check` is the time of the answer.
    """
    began = time.perf_counter()
    asking = asyncio.ensure_future(_asked(service, workflow_id))
    try:
        # Waited for rather than awaited: a probe that ignores its cancellation must not hold up the checkpoint.
        done, _ = await asyncio.wait({asking}, timeout=timeout_seconds)
    except asyncio.CancelledError:
        _abandon(asking)
        raise
    metadata: dict[str, Any] = {"round_trip_ms": round((time.perf_counter() - began) * 1000, 2)}
    if not done:
        _abandon(asking)
        return _unhealthy(metadata, f"It did not answer within {timeout_seconds:g} s.")
    if asking.cancelled():
        return _unhealthy(metadata, "It gave up before it answered.")
    if error := asking.exception():
        return _unhealthy(metadata, sentence(error))
    try:
        return ServiceState(status="healthy", last_check=datetime.now(UTC), metadata={**asking.result(), **metadata})
    except (TypeError, ValueError):  # pydantic's error is a ValueError
        return _unhealthy(metadata, "It reported something that a checkpoint cannot hold.")


async def capture(services: Sequence[Service], workflow_id: str, timeout_seconds: float) -> dict[str, ServiceState]:
    """Ask all services at once; takes as long as the slowest, the time limit at the most."""
    states = await asyncio.gather(*(probe(service, workflow_id, timeout_seconds) for service in services))
    return {service.name: state for service, state in zip(services, states, strict=True)}


async def _asked(service: Service, workflow_id: str) -> dict[str, Any]:
    """In a task of its own from the start, so that what `health` raises before it first waits is its failure too."""
    return await service.health(workflow_id)


def _abandon(asking: "asyncio.Task[dict[str, Any]]") -> None:
    asking.cancel()
    asking.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody else will look at it


def _unhealthy(metadata: dict[str, Any], why: str) -> ServiceState:
    return ServiceState(status="unhealthy", last_check=datetime.now(UTC), metadata={**metadata, "why": why})
