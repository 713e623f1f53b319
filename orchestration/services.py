"""The services of a run, put together from the settings: what the worker uses and what a resumption compares with."""

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


@dataclass(frozen=True)
class Services:
    identity: IdentityService
    analytics: AnalyticsService
    others: list[Service]

    async def capture(self, workflow_id: str) -> dict[str, ServiceState]:
        """Ask every service at once how it is; never raises."""
        return await capture([self.identity, self.analytics, *self.others], workflow_id, HEALTH_TIMEOUT_SECONDS)


def build_services(settings: Settings, pool: PostgresPool) -> Services:
    """The two services of our own and those added by configuration."""
    return Services(
        IdentityService(PostgresIdentityStore(pool)),
        AnalyticsService(PostgresAnalyticsStore(pool)),
        external_services(settings.external_services, check_answer),
    )
