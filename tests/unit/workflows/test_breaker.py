"""Which services trip the breaker, and when it trips, closes and captures."""

from datetime import UTC, datetime, timedelta

import pytest

from perdure.checkpoint import ServiceState
from workflows.breaker import LONGEST_INTERVAL, SHORTEST_INTERVAL, Breaker
from workflows.state import PipelineState

START = datetime(2026, 1, 1, tzinfo=UTC)
ALLOWED = 60.0
SICK = "Connection refused."
PARTS = ("IdentityService", "AnalyticsService")


def make_breaker(state: PipelineState | None = None, *, armed: bool = True) -> Breaker:
    breaker = Breaker(state or PipelineState(), ALLOWED)
    breaker.armed = armed
    return breaker


def observe(breaker: Breaker, seconds: float, *sick: str, waits: bool = False) -> bool:
    """Show the breaker a capture with these unhealthy services, `seconds` after the start."""
    time = START + timedelta(seconds=seconds)
    services = {
        name: ServiceState(status="unhealthy", last_check=time, metadata={"why": SICK})
        if name in sick
        else ServiceState(status="healthy", last_check=time)
        for name in (*PARTS, "Letters", "Archive")
    }
    return breaker.observe(services, time, waits=waits)


def test_breaker_trips_exactly_when_the_allowed_time_has_passed() -> None:
    breaker = make_breaker()
    assert not observe(breaker, 0, "Letters")
    assert not observe(breaker, ALLOWED - 0.001, "Letters")
    assert observe(breaker, ALLOWED, "Letters")
    assert breaker.tripped


def test_breaker_trips_in_a_later_execution_of_the_same_run() -> None:
    state = PipelineState()
    observe(make_breaker(state), 0, "Letters")
    later = make_breaker(PipelineState.model_validate_json(state.model_dump_json()))
    assert observe(later, ALLOWED, "Letters")


def test_service_that_was_healthy_in_between_gets_the_whole_time_again() -> None:
    breaker = make_breaker()
    observe(breaker, 0, "Letters")
    observe(breaker, 30, "Archive")
    assert not observe(breaker, ALLOWED, "Letters", "Archive")
    assert observe(breaker, 30 + ALLOWED, "Letters", "Archive")


def test_breaker_closes_only_when_every_service_is_healthy() -> None:
    breaker = make_breaker()
    observe(breaker, 0, "Letters", "Archive")
    observe(breaker, ALLOWED, "Letters", "Archive")
    assert not observe(breaker, ALLOWED + 1, "Archive")
    assert breaker.tripped
    assert observe(breaker, ALLOWED + 2)
    assert not breaker.tripped
    assert (breaker.reason, breaker.record()) == (None, {})


@pytest.mark.parametrize("service", PARTS)
def test_outage_of_a_dependency_trips_nothing_while_the_run_waits_for_it(service: str) -> None:
    breaker = make_breaker()
    for seconds in (0.0, ALLOWED, 2 * ALLOWED):
        assert not observe(breaker, seconds, service, waits=True)
    assert not breaker.needs_watching


@pytest.mark.parametrize("service", PARTS)
def test_tripped_breaker_stays_tripped_when_the_run_begins_to_wait(service: str) -> None:
    """The outage that tripped the breaker also makes the next checkpoint wait for the database."""
    breaker = make_breaker()
    observe(breaker, 0, service)
    assert observe(breaker, ALLOWED, service)
    assert not observe(breaker, ALLOWED + 1, service, waits=True)
    assert breaker.tripped
    assert breaker.reason
    assert breaker.reason.startswith(f"{service} has been unhealthy since 2026-01-01 00:00:00 UTC (Connection refused)")


def test_external_service_trips_the_breaker_while_the_run_waits() -> None:
    breaker = make_breaker()
    observe(breaker, 0, "Letters", waits=True)
    assert observe(breaker, ALLOWED, "Letters", waits=True)


def test_breaker_that_is_not_armed_neither_trips_nor_closes() -> None:
    breaker = make_breaker(armed=False)
    observe(breaker, 0, "Letters")
    assert not observe(breaker, ALLOWED, "Letters")
    breaker.armed = True
    observe(breaker, 0, "Letters")
    observe(breaker, ALLOWED, "Letters")
    breaker.armed = False
    assert not observe(breaker, ALLOWED + 1)
    assert breaker.tripped


def test_breaker_without_an_allowed_time_never_trips() -> None:
    breaker = Breaker(PipelineState(), 0.0)
    breaker.armed = True
    assert not observe(breaker, 0, "Letters")
    assert not breaker.needs_watching


def test_checkpoint_entry_names_the_services_and_the_time_of_the_trip() -> None:
    breaker = make_breaker()
    observe(breaker, 0, "Letters")
    assert breaker.record() == {}
    observe(breaker, ALLOWED, "Letters")
    entry = breaker.record()["breaker"]
    assert entry["tripped_at"] == (START + timedelta(seconds=ALLOWED)).isoformat()
    assert list(entry["services"]) == ["Letters"]


@pytest.mark.parametrize(
    ("seconds", "interval"),
    [
        (0.0, SHORTEST_INTERVAL),
        (8.0, timedelta(seconds=4)),
        (40.0, LONGEST_INTERVAL),
        (ALLOWED - 3, timedelta(seconds=3)),
        (ALLOWED + 60, LONGEST_INTERVAL),
    ],
    ids=["first", "grows", "longest", "until the trip", "after the trip"],
)
def test_next_capture_comes_at_the_latest_when_the_breaker_trips(seconds: float, interval: timedelta) -> None:
    breaker = make_breaker()
    observe(breaker, 0, "Letters")
    observe(breaker, seconds, "Letters")
    assert breaker.interval(START + timedelta(seconds=seconds)) == interval


def test_breaker_trips_at_a_capture_after_the_allowed_time() -> None:
    breaker = make_breaker()
    observe(breaker, 0, "Letters")
    assert observe(breaker, ALLOWED + 7, "Letters")


def test_new_breaker_is_not_armed() -> None:
    breaker = Breaker(PipelineState(), ALLOWED)
    observe(breaker, 0, "Letters")
    assert not observe(breaker, ALLOWED, "Letters")


def test_next_capture_is_never_in_the_past() -> None:
    breaker = make_breaker()
    observe(breaker, 0, "Letters")
    breaker.armed = False
    observe(breaker, ALLOWED, "Letters")
    assert not breaker.tripped
    assert breaker.interval(START + timedelta(seconds=ALLOWED + 30)) >= SHORTEST_INTERVAL
