"""Each long activity heartbeats while it works, or the server would repeat the activity."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities import faults
from activities.batches import BatchActivities, BatchRequest
from activities.manifest import AddRequest, DiscoverRequest, ManifestActivities
from activities.recovery import RecoverRequest, RecoveryActivities
from activities.services import ServiceActivities, ServiceRequest

SECONDS = 10.0


class Reached(Exception):
    """The activity called the dependency, and had sent a heartbeat before."""


class Gate:
    """A dependency whose methods wait until the activity has sent a heartbeat."""

    def __init__(self) -> None:
        self.beat = asyncio.Event()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[None]]:
        async def call(*_: object, **__: object) -> None:
            async with asyncio.timeout(SECONDS):
                await self.beat.wait()
            raise Reached(name)

        return call


def long_activities(gate: Any) -> dict[str, tuple[Callable[..., Any], Any]]:
    """Return each long activity over the gate, with an input."""
    manifest = ManifestActivities(gate, lambda _: iter(()), lambda _: None)
    services = ServiceActivities(gate, gate, gate)
    run = {"workflow_id": "run", "epoch": 1}
    return {
        "discover": (manifest.discover, DiscoverRequest(workflow_id="run", first_run_id="1", sources=["a"])),
        "add_documents": (manifest.add_documents, AddRequest(**run, sources=["a"])),
        "process_batch": (
            BatchActivities(gate, gate).process_batch,
            BatchRequest(**run, dispatch=1, first=0, end=1),
        ),
        "recover": (
            RecoveryActivities(manifest, [], gate).recover,
            RecoverRequest(**run, claim="1/1", sources=["a"], total=1),
        ),
        "resolve_identities": (services.resolve_identities, ServiceRequest(**run)),
        "build_analytics": (services.build_analytics, ServiceRequest(**run)),
    }


@pytest.fixture(autouse=True)
def _early_heartbeat(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(faults, "FIRST_HEARTBEAT_SECONDS", 0.01)
    yield


@pytest.mark.parametrize("name", long_activities(None))
async def test_long_activity_heartbeats_while_it_waits_for_a_dependency(name: str) -> None:
    gate = Gate()
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *_: gate.beat.set()
    method, request = long_activities(gate)[name]
    with pytest.raises(Reached):
        await environment.run(method, request)
