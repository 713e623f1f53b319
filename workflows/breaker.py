"""The breaker: a service that has been unhealthy for a set time pauses the run, and its recovery lifts that.

It judges what the services answered, at checkpoints and to `workflows.service_watch`. A pause of its own is none of a
person's: lifting it does not unpause a run that somebody has paused.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from perdure.checkpoint import ServiceState
from perdure.services.analytics import AnalyticsService
from perdure.services.identity import IdentityService
from workflows.state import Ailment, PipelineState

PARTS_OF_THE_RUN = frozenset({IdentityService.name, AnalyticsService.name})
"""When their database is away, so is what the run itself needs: it waits for that already, and says so."""
SHORTEST_INTERVAL = timedelta(seconds=1)
LONGEST_INTERVAL = timedelta(seconds=10)


class Breaker:
    """Keeps in the run's state since when which service has been unhealthy, and whether that pauses the run.

    Args:
        state: of the run.
        seconds: how long a service may be unhealthy; 0 for as long as it likes.
    """

    def __init__(self, state: PipelineState, seconds: float) -> None:
        self._state = state
        self._allowed = timedelta(seconds=seconds)
        self.armed = False
        """There is work that it could hold back."""

    @property
    def tripped(self) -> bool:
        return self._state.tripped_at is not None

    @property
    def needs_watching(self) -> bool:
        """A service was unhealthy when it was last asked."""
        return bool(self._state.unhealthy)

    def observe(self, services: Mapping[str, ServiceState], now: datetime, *, waits: bool) -> bool:
        """Take in how the services answered; returns whether that tripped or lifted the breaker.

        Args:
            services: all there are; one that is not configured any more is forgotten.
            now: the workflow's time.
            waits: the run waits for something of its own anyway.
        """
        if not (self._allowed and self.armed):
            return False
        state, before = self._state, self.tripped
        ignored = PARTS_OF_THE_RUN if waits and not before else frozenset()
        state.unhealthy = {
            name: Ailment(since=state.unhealthy[name].since if name in state.unhealthy else now, why=_why(service))
            for name, service in sorted(services.items())
            if service.status != "healthy" and name not in ignored
        }
        if not state.unhealthy:
            state.tripped_at = None
        elif not before and any(now - one.since >= self._allowed for one in state.unhealthy.values()):
            state.tripped_at = now
        return self.tripped != before

    def interval(self, now: datetime) -> timedelta:
        """How long to leave an unhealthy service alone: longer and longer, and to the moment at which it trips."""
        first = min((one.since for one in self._state.unhealthy.values()), default=now)
        interval = min(LONGEST_INTERVAL, max(SHORTEST_INTERVAL, (now - first) / 2))
        remaining = first + self._allowed - now
        return min(interval, remaining) if remaining > timedelta() and not self.tripped else interval

    @property
    def reason(self) -> str | None:
        """Why it holds the run back, one sentence; None if it does not."""
        if not self.tripped:
            return None
        services = [
            f"{name} has been unhealthy since {one.since:%Y-%m-%d %H:%M:%S} UTC{f' ({one.why})' if one.why else ''}"
            for name, one in self._state.unhealthy.items()
        ]
        return f"{' and '.join(services)}; the run pauses itself until that is over."

    def record(self) -> dict[str, Any]:
        """For the checkpoint's state data: since when it holds the run back, and for which services."""
        state = self._state
        if not state.tripped_at:
            return {}
        services = {name: one.model_dump(mode="json") for name, one in state.unhealthy.items()}
        return {"breaker": {"tripped_at": state.tripped_at.isoformat(), "services": services}}


def _why(service: ServiceState) -> str:
    return str(service.metadata.get("why") or "").rstrip(".")
