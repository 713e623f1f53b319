"""A health capture never fails, ends within its time limit, and records no credential."""

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


async def refuse_connection(dsn: str) -> None:
    """Raise the error of a Postgres server that refuses connections."""
    raise DependencyUnavailable("Postgres", f"{dsn} refused the connection")


@dataclass
class Answering:
    """A healthy service."""

    name: str = "answering"

    async def health(self, workflow_id: str) -> dict[str, Any]:
        """Return the workflow id."""
        return {"asked_for": workflow_id}


@dataclass
class Failing:
    """A service that raises an error."""

    error: BaseException
    name: str = "failing"

    async def health(self, workflow_id: str) -> dict[str, Any]:
        """Raise the error."""
        raise self.error


@dataclass
class Stubborn:
    """A service that ignores cancellation until `released` is set."""

    name: str = "stubborn"
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def health(self, workflow_id: str) -> dict[str, Any]:
        """Wait for `released`, and ignore cancellation."""
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                continue
        return {}


async def test_healthy_service_is_recorded_with_its_metadata_and_round_trip() -> None:
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
async def test_failing_service_is_recorded_as_unhealthy_with_a_sentence(error: Exception) -> None:
    state = await probe(Failing(error), "run", 1.0)
    assert state.status == "unhealthy"
    why = state.metadata["why"]
    assert why.endswith(".")
    assert "\n" not in why
    assert "\0" not in why
    assert "hunter2" not in why


class ErrorWithoutText(Exception):
    """An error whose text cannot be read."""

    def __str__(self) -> str:
        """Raise an error."""
        raise ZeroDivisionError


@dataclass
class AnsweringAnything:
    """A service whose answer may have a wrong type."""

    answer: Callable[[], Any]
    name: str = "answering anything"

    async def health(self, workflow_id: str) -> dict[str, Any]:
        """Return the result of `answer`."""
        return self.answer()  # type: ignore[no-any-return]  # the tests return wrong types on purpose


class FailingWithoutAwait:
    """A service whose `health` raises at once and returns no awaitable."""

    name = "failing without await"

    def health(self, workflow_id: str) -> Any:
        """Raise an error."""
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "service",
    [
        Failing(asyncio.CancelledError()),
        Failing(ErrorWithoutText()),
        Failing(RuntimeError("half a pair: \udc80")),
        AnsweringAnything(lambda: None),
        AnsweringAnything(lambda: [1]),
        AnsweringAnything(lambda: {"rate": float("nan")}),
        AnsweringAnything(lambda: {"text": "\0"}),
        AnsweringAnything(lambda: {"what": object()}),
        FailingWithoutAwait(),
    ],
)
async def test_faulty_service_is_recorded_beside_the_healthy_services(service: Service) -> None:
    states = await capture([service, Answering()], "run", 1.0)
    assert states[service.name].status == "unhealthy"
    assert states[service.name].metadata["why"].endswith(".")
    assert states["answering"].status == "healthy"


@pytest.mark.parametrize(
    "message",
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
def test_sentence_of_an_error_has_no_credential(message: str) -> None:
    assert "hunter2" not in sentence(RuntimeError(message))


def test_sentence_of_an_error_is_short_for_any_length() -> None:
    traceback = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: it is too old'
    assert sentence(RuntimeError(traceback)) == "ValueError: it is too old."
    assert sentence(ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)")) == "Connection refused."
    assert sentence(TimeoutError()) == "It did not answer in time."
    began = time.process_time()
    for long in ("x" * 299, "x" * 300, "x" * 10**6, "pwd-" * 10**5, "://" * 10**5, "basic " * 10**5):
        assert len(sentence(RuntimeError(long))) <= MAX_CHARACTERS
    assert time.process_time() - began < 1.0


async def test_cancelled_probe_cancels_the_call_of_the_service() -> None:
    stopped = asyncio.Event()

    class Slow:
        """A service that answers after a minute."""

        name = "slow"

        async def health(self, workflow_id: str) -> dict[str, Any]:
            """Sleep for a minute; set `stopped` at the end and on cancellation."""
            try:
                await asyncio.sleep(60)
            finally:
                stopped.set()
            return {}

    probing = asyncio.create_task(probe(Slow(), "run", 60.0))
    await asyncio.sleep(0.05)
    probing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probing
    await asyncio.wait_for(stopped.wait(), 20)


async def test_capture_ends_at_its_limit_if_a_service_ignores_cancellation() -> None:
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
def test_wrong_address_is_refused_with_a_sentence(address: str) -> None:
    with pytest.raises(InvalidConfiguration, match=r"'mine'.*\.$") as refusal:
        external_services({"mine": address}, refuse_connection)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("name", ["", " ", "a\0b", "IdentityService", "AnalyticsService"])
def test_empty_or_reserved_service_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidConfiguration, match=r"\.$"):
        external_services({name: "tcp://host:80"}, refuse_connection)


def test_repr_of_a_service_has_no_credential() -> None:
    services = external_services(
        {"a": "https://me:hunter2@host", "b": "postgresql://me:hunter2@host"}, refuse_connection
    )
    assert "hunter2" not in repr(services)


def test_import_of_external_services_loads_no_client_library() -> None:
    program = (
        "import sys, perdure.services.external\n"
        "print(*sorted({'httpx', 'grpc', 'asyncpg', 'temporalio'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


@dataclass
class Waiting:
    """A service that answers when it was asked together with another one."""

    meeting: asyncio.Barrier
    name: str

    async def health(self, workflow_id: str) -> dict[str, Any]:
        """Return when the other service is asked too."""
        await self.meeting.wait()
        return {}


async def test_services_are_asked_at_the_same_time() -> None:
    meeting = asyncio.Barrier(2)
    states = await capture([Waiting(meeting, "first"), Waiting(meeting, "second")], "run", 10.0)
    assert [state.status for state in states.values()] == ["healthy", "healthy"]
