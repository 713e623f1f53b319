"""A health capture never fails, never waits longer than it may, and never gives a secret away."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from perdure.errors import DependencyUnavailable, InvalidConfiguration
from perdure.services.explanation import MAX_CHARACTERS, sentence
from perdure.services.external import external_services
from perdure.services.health import Service, capture, probe


async def no_postgres(dsn: str) -> None:
    raise DependencyUnavailable("Postgres", f"{dsn} refused the connection")


@dataclass
class Answering:
    name: str = "answering"

    async def health(self, workflow_id: str) -> dict[str, Any]:
        return {"asked_for": workflow_id}


@dataclass
class Failing:
    error: BaseException
    name: str = "failing"

    async def health(self, workflow_id: str) -> dict[str, Any]:
        raise self.error


@dataclass
class Stubborn:
    """Goes on although it is cancelled."""

    name: str = "stubborn"
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def health(self, workflow_id: str) -> dict[str, Any]:
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                continue
        return {}


async def test_a_healthy_service_is_captured_with_what_it_reports_and_its_round_trip() -> None:
    state = await probe(Answering(), "run", 1.0)
    assert state.status == "healthy"
    assert state.metadata["asked_for"] == "run"
    assert 0 <= state.metadata["round_trip_ms"] < 1000


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a\nb"),
        DependencyUnavailable("Postgres", "gone"),
        OSError(),
        RuntimeError("postgresql://me:hunter2@host/db\0"),
    ],
)
async def test_a_failing_service_is_captured_as_unhealthy_with_one_sentence(error: Exception) -> None:
    state = await probe(Failing(error), "run", 1.0)
    assert state.status == "unhealthy"
    why = state.metadata["why"]
    assert why.endswith(".")
    assert "\n" not in why
    assert "\0" not in why
    assert "hunter2" not in why


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


@dataclass
class Saying:
    """Answers with anything."""

    answer: Callable[[], Any]
    name: str = "saying"

    async def health(self, workflow_id: str) -> dict[str, Any]:
        return self.answer()  # type: ignore[no-any-return]  # which is the point


class Hasty:
    """Fails before there is anything to wait for."""

    name = "hasty"

    def health(self, workflow_id: str) -> Any:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "service",
    [
        Failing(asyncio.CancelledError()),
        Failing(Unspeakable()),
        Failing(RuntimeError("half a pair: \udc80")),
        Saying(lambda: None),
        Saying(lambda: [1]),
        Saying(lambda: {"rate": float("nan")}),
        Saying(lambda: {"text": "\0"}),
        Saying(lambda: {"what": object()}),
        Hasty(),
    ],
)
async def test_whatever_a_service_does_a_capture_records_it_and_those_beside_it(service: Service) -> None:
    states = await capture([service, Answering()], "run", 1.0)
    assert states[service.name].status == "unhealthy"
    assert states[service.name].metadata["why"].endswith(".")
    assert states["answering"].status == "healthy"


@pytest.mark.parametrize(
    "said",
    [
        "postgresql://me:hunter2@host/db does not answer",
        "postgresql://me:hun/hunter2@host/db does not answer",
        "postgresql://me:hun@hunter2@host/db does not answer",
        "no host=x password=hunter2 user=y",
        "no password='hunter2 and more'",
        "GET https://host/path?api_key=hunter2&a=b",
        "GET https://host/path?X-Amz-Signature=hunter2",
        '{"client_secret": "hunter2"}',
        "Authorization: Bearer hunter2",
        "x" * 3_990 + " postgresql://me:hunter2" + "x" * 100 + "@host/db",
        "postgresql://me:hunter2" + "x" * 5_000 + "@host/db",
    ],
)
def test_no_credential_is_in_what_an_error_is_said_to_be(said: str) -> None:
    assert "hunter2" not in sentence(RuntimeError(said))


def test_an_error_is_told_in_one_short_sentence_whatever_its_length() -> None:
    traceback = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: it is too old'
    assert sentence(RuntimeError(traceback)) == "ValueError: it is too old."
    assert sentence(ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)")) == "Connection refused."
    assert sentence(TimeoutError()) == "It did not answer in time."
    began = time.process_time()
    for long in ("x" * 299, "x" * 300, "x" * 10**6, "pwd-" * 10**5, "://" * 10**5, "basic " * 10**5):
        assert len(sentence(RuntimeError(long))) <= MAX_CHARACTERS
    assert time.process_time() - began < 1.0


async def test_who_stops_waiting_for_a_probe_stops_the_probe() -> None:
    stopped = asyncio.Event()

    class Slow:
        name = "slow"

        async def health(self, workflow_id: str) -> dict[str, Any]:
            try:
                await asyncio.sleep(60)
            finally:
                stopped.set()
            return {}

    asking = asyncio.create_task(probe(Slow(), "run", 60.0))
    await asyncio.sleep(0.05)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.wait_for(stopped.wait(), 20)


async def test_a_capture_takes_no_longer_than_its_limit_even_if_a_service_ignores_it() -> None:
    stubborn = Stubborn()
    async with asyncio.timeout(90):
        states = await capture([Answering(), stubborn], "run", 0.3)
    assert states["answering"].status == "healthy"
    assert "0.3 s" in states["stubborn"].metadata["why"]
    stubborn.released.set()
    while len(asyncio.all_tasks()) > 1:  # the stubborn probe ends by itself, and reports to no caller
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nonsense",
        "ftp://host/x",
        "tcp://host",
        "tcp://host:0",
        "grpc://host",
        "http://",
        "tcp://:80",
        "tcp://host:99999",
        "tcp://host:80/path",
        "tcp://hunter2@host:80",
        "grpc://host:80/a?b",
        "http://a b/",
        "http://[::1/",
        "http://host/\n",
        "postgresql://me:hunter2/x@host/db",
        "postgresql://me:hunter2",
    ],
)
def test_an_address_that_cannot_be_asked_is_refused_in_one_sentence(address: str) -> None:
    with pytest.raises(InvalidConfiguration, match=r"'mine'.*\.$") as refusal:
        external_services({"mine": address}, no_postgres)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("name", ["", " ", "a\0b", "IdentityService", "AnalyticsService"])
def test_a_name_that_a_checkpoint_cannot_tell_apart_is_refused(name: str) -> None:
    with pytest.raises(InvalidConfiguration, match=r"\.$"):
        external_services({name: "tcp://host:80"}, no_postgres)


def test_a_service_does_not_show_its_address_in_a_log() -> None:
    services = external_services({"a": "https://me:hunter2@host", "b": "postgresql://me:hunter2@host"}, no_postgres)
    assert "hunter2" not in repr(services)


def test_clients_are_loaded_by_those_runs_only_that_have_such_services() -> None:
    program = (
        "import sys, perdure.services.external\n"
        "print(*sorted({'httpx', 'grpc', 'asyncpg', 'temporalio'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == ""
