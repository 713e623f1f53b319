"""Activities around the services: how they feel, and what they make of a finished run."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pydantic import BaseModel
from temporalio import activity

from activities.faults import translated
from perdure.checkpoint import ServiceState
from perdure.services.analytics import AnalyticsService
from perdure.services.identity import IdentityService


class ServiceRequest(BaseModel):
    workflow_id: str
    epoch: int


class IdentityResult(BaseModel):
    identities: int
    resolution_rate: float


class AnalyticsResult(BaseModel):
    nodes: int
    edges: int


@dataclass(frozen=True)
class ServiceActivities:
    """`capture` asks every configured service and never raises."""

    identity: IdentityService
    analytics: AnalyticsService
    capture: Callable[[str], Awaitable[dict[str, ServiceState]]]

    @activity.defn(name="capture_service_states")
    async def capture_service_states(self, request: ServiceRequest) -> dict[str, ServiceState]:
        """Ask each service how it is, really, with a timeout; one that is down is captured as unhealthy."""
        async with translated():
            return await self.capture(request.workflow_id)

    @activity.defn(name="resolve_identities")
    async def resolve_identities(self, request: ServiceRequest) -> IdentityResult:
        """Resolve the mentions of the whole run into identities; running it again gives the same."""
        async with translated(lambda: "resolving"):
            summary = await self.identity.resolve(request.workflow_id, request.epoch)
            return IdentityResult(identities=summary.identities, resolution_rate=summary.resolution_rate)

    @activity.defn(name="build_analytics")
    async def build_analytics(self, request: ServiceRequest) -> AnalyticsResult:
        """Build graph, table and vector outputs of the run; running it again gives the same."""
        async with translated(lambda: "building"):
            summary = await self.analytics.build(request.workflow_id, request.epoch)
            return AnalyticsResult(nodes=summary.nodes, edges=summary.edges)
