"""Probes added by configuration, against real servers: HTTP, gRPC, TCP, Postgres."""

import http.server
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

import asyncpg
import grpc.aio
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from perdure.checkpoint import ServiceState
from perdure.services.external import external_services
from perdure.services.health import probe
from perdure.stores.postgres.connection import check_answer


async def asked(address: str, timeout_seconds: float = 3.0) -> ServiceState:
    (service,) = external_services({"mine": address}, check_answer)
    return await probe(service, "run", timeout_seconds)


@contextmanager
def http_server(status: int, location: str | None = None, *, endless: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Its address, and the paths that it has been asked for."""
    paths: list[str] = []
    ended = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            if endless:
                self.send_header("Content-Length", "1000000")
            self.end_headers()
            if endless:
                ended.wait(30)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/health", paths
        finally:
            ended.set()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, "healthy"), (204, "healthy"), (301, "healthy"), (404, "unhealthy"), (503, "unhealthy")],
)
async def test_an_http_service_is_as_well_as_it_answers(status: int, expected: str) -> None:
    with http_server(status) as (url, _):
        state = await asked(url)
    assert state.status == expected
    said = state.metadata["http_status"] if expected == "healthy" else state.metadata["why"]
    assert str(status) in str(said)


async def test_a_redirect_is_not_followed() -> None:
    with http_server(200) as (elsewhere, asked_elsewhere), http_server(302, elsewhere) as (url, asked_here):
        assert (await asked(url)).status == "healthy"
    assert (asked_here, asked_elsewhere) == (["/health"], [])


async def test_an_http_service_has_answered_before_its_body_ends() -> None:
    with http_server(200, endless=True) as (url, _):
        assert (await asked(url)).status == "healthy"


async def test_no_proxy_comes_between(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "grpc_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    with http_server(200) as (url, _):
        assert (await asked(url)).status == "healthy"
    async with grpc_server({"": "SERVING"}) as port:
        assert (await asked(f"grpc://127.0.0.1:{port}")).status == "healthy"


@asynccontextmanager
async def grpc_server(statuses: dict[str, str] | None) -> AsyncIterator[int]:
    """Its port; None for a server without a health service."""
    server = grpc.aio.server()
    if statuses is not None:
        servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        for name, status in statuses.items():
            await servicer.set(name, health_pb2.HealthCheckResponse.ServingStatus.Value(status))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("", "healthy"), ("/well", "healthy"), ("/ill", "unhealthy: NOT_SERVING"), ("/other", "unhealthy: NOT_FOUND")],
)
async def test_a_grpc_service_is_as_well_as_its_health_check_says(path: str, expected: str) -> None:
    async with grpc_server({"": "SERVING", "well": "SERVING", "ill": "NOT_SERVING"}) as port:
        state = await asked(f"grpc://127.0.0.1:{port}{path}")
    status, _, why = expected.partition(": ")
    assert state.status == status
    assert why in state.metadata.get("why", "")


async def test_a_grpc_server_without_a_health_check_is_told_apart_from_one_that_is_away() -> None:
    async with grpc_server(None) as port:
        assert "does not offer the standard health check" in (await asked(f"grpc://127.0.0.1:{port}")).metadata["why"]
    assert "UNAVAILABLE" in (await asked(f"grpc://127.0.0.1:{port}")).metadata["why"]


async def test_a_grpc_service_that_comes_back_is_healthy_at_the_next_probe() -> None:
    port = closed_port()
    assert (await asked(f"grpc://127.0.0.1:{port}")).status == "unhealthy"
    server = grpc.aio.server()
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
        assert (await asked(f"grpc://127.0.0.1:{port}")).status == "healthy"
    finally:
        await server.stop(None)


async def test_a_port_that_listens_is_healthy_and_a_closed_one_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert (await asked(f"tcp://127.0.0.1:{port}")).status == "healthy"
    why = (await asked(f"tcp://127.0.0.1:{port}")).metadata["why"]
    assert why == f"127.0.0.1:{port} accepts no connection: Connection refused."


@pytest.mark.parametrize("scheme", ["http", "grpc", "postgresql"])
async def test_a_server_that_takes_connections_and_never_answers_is_unhealthy_in_time(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        state = await asked(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}", timeout_seconds=0.5)
    assert state.metadata["why"] == "The service did not answer within 0.5 s."


async def test_a_host_that_swallows_connections_is_unhealthy_in_time() -> None:
    with ExitStack() as opened:
        full = opened.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(8):  # until its queue is full, and the kernel drops what asks to connect
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        state = await asked(f"tcp://127.0.0.1:{full.getsockname()[1]}", timeout_seconds=0.5)
    assert state.metadata["why"] == "The service did not answer within 0.5 s."


async def test_a_database_of_others_needs_nothing_of_ours(database_url: str) -> None:
    conn = await asyncpg.connect(database_url)
    await conn.execute(
        f"""DROP SCHEMA public CASCADE; CREATE SCHEMA bare;
            CREATE TABLE bare.pg_available_extensions (name text);
            ALTER DATABASE {database_url.rpartition("/")[2]} SET search_path = bare, pg_catalog"""
    )
    await conn.close()
    assert (await asked(database_url)).status == "healthy"


async def test_a_database_that_refuses_us_is_unhealthy_without_its_password(database_url: str) -> None:
    user, _, place = database_url.rpartition("@")
    wrong = f"{user.rpartition(':')[0]}:hunter2@{place}"
    state = await asked(wrong)
    assert state.status == "unhealthy"
    assert "hunter2" not in str(state)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
