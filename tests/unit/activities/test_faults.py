"""The translation of domain errors into retryable and non-retryable errors of Temporal."""

import asyncio

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import faults
from activities.faults import translate_errors
from perdure.errors import CheckpointGap, DependencyUnavailable, InvalidSource, PerdureError, StaleWriter


async def failure_of(error: Exception) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        async with translate_errors():
            raise error
    return caught.value


async def test_unavailable_dependency_is_retryable_and_named() -> None:
    failure = await failure_of(DependencyUnavailable("Postgres", "connection refused"))
    assert (failure.type, failure.non_retryable) == ("DependencyUnavailable", False)
    assert failure.message == "Postgres is unavailable: connection refused"


@pytest.mark.parametrize(
    "error", [StaleWriter("Gone."), CheckpointGap("Gap."), InvalidSource("No."), PerdureError("x")]
)
async def test_other_domain_errors_are_not_retryable(error: PerdureError) -> None:
    failure = await failure_of(error)
    assert (failure.type, failure.message, failure.non_retryable) == (type(error).__name__, str(error), True)


async def test_unexpected_error_passes_through_for_the_server_to_retry() -> None:
    with pytest.raises(ZeroDivisionError):
        async with translate_errors():
            raise ZeroDivisionError


@pytest.mark.parametrize("fails", [False, True])
async def test_heartbeats_last_exactly_as_long_as_the_body(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    monkeypatch.setattr(faults, "FIRST_HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(faults, "HEARTBEAT_EVERY_SECONDS", 0.01)
    environment = ActivityEnvironment()
    beats = []
    done = 0
    environment.on_heartbeat = lambda *details: beats.append(details[0])

    async def body() -> None:
        nonlocal done
        async with translate_errors(lambda: {"done": done}):
            for _ in range(5):
                await asyncio.sleep(0.02)
                done += 1
            if fails:
                raise StaleWriter("Gone.")

    if fails:
        with pytest.raises(ApplicationError):
            await environment.run(body)
    else:
        await environment.run(body)
    assert asyncio.all_tasks() == {asyncio.current_task()}, "no heartbeat follows"
    assert beats[0] == {"done": 0}
    assert beats[-1]["done"] >= 3
