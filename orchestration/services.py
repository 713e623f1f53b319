"""Composes the services of a run from the settings."""

from dataclasses import dataclass

from orchestration.settings import Settings
from perdure.checkpoint import ServiceState
from perdure.services.analytics import AnalyticsService
from perdure.services.external import external_services
from perdure.services.health import Service, capture
from perdure.services.identity import IdentityService
from perdure.stores.postgres.analytics import PostgresAnalyticsStore
from perdure.stores.postgres.connection import PostgresPool, check_answer
from perdure.stores.postgres.identities import PostgresIdentityStore

HEALTH_TIMEOUT_SECONDS = 3.0
"""Time limit of one health check."""


@dataclass(frozen=True)
class Services:
    """The two built-in services and the configured services."""

    identity: IdentityService
    analytics: AnalyticsService
    others: list[Service]

    async def capture(self, workflow_id: str) -> dict[str, ServiceState]:
        """Check all services concurrently, and return their states by name.

        A service that raises an error is recorded as unhealthy.
        """
        return await capture([self.identity, self.analytics, *self.others], workflow_id, HEALTH_TIMEOUT_SECONDS)


def build_services(settings: Settings, pool: PostgresPool) -> Services:
    """Return the two built-in services and the configured services, over this connection pool."""
    return Services(
        IdentityService(PostgresIdentityStore(pool)),
        AnalyticsService(PostgresAnalyticsStore(pool)),
        external_services(settings.external_services, check_answer),
    )
