"""The breaker, which pauses a run while a service is unhealthy for a set time.

The breaker closes when every service is healthy. The breaker reads the service states captured for checkpoints and by
`workflows.service_watch`. Closing the breaker never lifts a pause that a user asked for.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from perdure.checkpoint import ServiceState
from perdure.services.analytics import AnalyticsService
from perdure.services.identity import IdentityService
from workflows.state import Ailment, PipelineState

PARTS_OF_THE_RUN = frozenset({IdentityService.name, AnalyticsService.name})
"""Services that share the run's database. While the database is unavailable, the run waits anyway, and shows why."""
SHORTEST_INTERVAL = timedelta(seconds=1)
"""Least time between two captures of an unhealthy service."""
LONGEST_INTERVAL = timedelta(seconds=10)
"""Longest time between two captures of an unhealthy service."""


class Breaker:
    """Records the unhealthy services in the run's state, and whether they pause the run.

    Args:
        state: state of the run; the breaker writes `unhealthy` and `tripped_at`.
        seconds: time for which a service may be unhealthy; 0 switches the breaker off.
    """

    def __init__(self, state: PipelineState, seconds: float) -> None:
        """Start disarmed."""
        self._state = state
        self._allowed = timedelta(seconds=seconds)
        self.armed = False
        """Whether batches are being handed out, which the breaker could stop."""

    @property
    def tripped(self) -> bool:
        """Return whether the breaker pauses the run."""
        return self._state.tripped_at is not None

    @property
    def needs_watching(self) -> bool:
        """Return whether a service was unhealthy in the last capture."""
        return bool(self._state.unhealthy)

    def observe(self, services: Mapping[str, ServiceState], time: datetime, *, waits: bool) -> bool:
        """Judge a capture of the services; return whether the breaker tripped or closed.

        Args:
            services: state of every configured service by name. The breaker forgets a service that is missing.
            time: the workflow's time.
            waits: whether the run waits for one of its dependencies. The breaker then ignores `PARTS_OF_THE_RUN`.
        """
        if not (self._allowed and self.armed):
            return False
        state = self._state
        tripped_before = self.tripped
        ignored = PARTS_OF_THE_RUN if waits and not tripped_before else frozenset()
        state.unhealthy = {
            name: Ailment(
                since=state.unhealthy[name].since if name in state.unhealthy else time, why=_read_reason(service)
            )
            for name, service in sorted(services.items())
            if service.status != "healthy" and name not in ignored
        }
        if not state.unhealthy:
            state.tripped_at = None
        elif not tripped_before and any(time - ailment.since >= self._allowed for ailment in state.unhealthy.values()):
            state.tripped_at = time
        return self.tripped != tripped_before

    def interval(self, time: datetime) -> timedelta:
        """Return the time until the next capture.

        The time grows with each capture, but never exceeds the time until the breaker trips.
        """
        first = min((ailment.since for ailment in self._state.unhealthy.values()), default=time)
        interval = min(LONGEST_INTERVAL, max(SHORTEST_INTERVAL, (time - first) / 2))
        remaining = first + self._allowed - time
        return min(interval, remaining) if remaining > timedelta() and not self.tripped else interval

    @property
    def reason(self) -> str | None:
        """Return the reason of the breaker's pause in one sentence; None without such a pause."""
        if not self.tripped:
            return None
        services = [
            f"{name} has been unhealthy since {ailment.since:%Y-%m-%d %H:%M:%S} UTC"
            + (f" ({ailment.why})" if ailment.why else "")
            for name, ailment in self._state.unhealthy.items()
        ]
        return f"{' and '.join(services)}; the run is paused until every service is healthy."

    def record(self) -> dict[str, Any]:
        """Return the checkpoint's `breaker` entry: when the breaker tripped, and for which services.

        Return an empty dictionary while the breaker is closed.
        """
        state = self._state
        if not state.tripped_at:
            return {}
        services = {name: ailment.model_dump(mode="json") for name, ailment in state.unhealthy.items()}
        return {"breaker": {"tripped_at": state.tripped_at.isoformat(), "services": services}}


def _read_reason(service: ServiceState) -> str:
    return str(service.metadata.get("why") or "").rstrip(".")
