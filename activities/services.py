"""Activities of the services: capture their health, resolve identities, build analytics."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pydantic import BaseModel
from temporalio import activity

from activities.faults import translate_errors
from perdure.checkpoint import ServiceState
from perdure.services.analytics import AnalyticsService
from perdure.services.identity import IdentityService


class ServiceRequest(BaseModel):
    """The run that an activity works for, with the epoch that fences its writes."""

    workflow_id: str
    epoch: int


class IdentityResult(BaseModel):
    """The result of `resolve_identities`."""

    identities: int
    resolution_rate: float
    """Share of the mentions that belong to an identity, 0 to 1."""


class AnalyticsResult(BaseModel):
    """The size of the graph that `build_analytics` wrote."""

    nodes: int
    edges: int


@dataclass(frozen=True)
class ServiceActivities:
    """The service activities with their injected services.

    Attributes:
        capture: asks every configured service for its health; a service that fails is reported as unhealthy.
    """

    identity: IdentityService
    analytics: AnalyticsService
    capture: Callable[[str], Awaitable[dict[str, ServiceState]]]

    @activity.defn(name="capture_service_states")
    async def capture_service_states(self, request: ServiceRequest) -> dict[str, ServiceState]:
        """Return the health of each service; a service that exceeds its time limit is unhealthy."""
        async with translate_errors():
            return await self.capture(request.workflow_id)

    @activity.defn(name="resolve_identities")
    async def resolve_identities(self, request: ServiceRequest) -> IdentityResult:
        """Resolve the mentions of the run; a repeated call gives the same identities."""
        async with translate_errors(lambda: "resolving"):
            summary = await self.identity.resolve(request.workflow_id, request.epoch)
            return IdentityResult(identities=summary.identities, resolution_rate=summary.resolution_rate)

    @activity.defn(name="build_analytics")
    async def build_analytics(self, request: ServiceRequest) -> AnalyticsResult:
        """Build the graph, the table and the vectors; a repeated call gives the same outputs."""
        async with translate_errors(lambda: "building"):
            summary = await self.analytics.build(request.workflow_id, request.epoch)
            return AnalyticsResult(nodes=summary.nodes, edges=summary.edges)
