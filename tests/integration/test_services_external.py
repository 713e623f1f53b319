"""Configured services, probed against real servers: HTTP, gRPC, TCP, Postgres."""

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


async def asked(address: str, timeout_seconds: float = 120.0) -> ServiceState:
    (service,) = external_services({"mine": address}, check_answer)
    return await probe(service, "run", timeout_seconds)


@contextmanager
def http_server(status: int, location: str | None = None, *, endless: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Yield the address of an HTTP server, and the list of requested paths."""
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
                ended.wait()

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
async def test_http_service_is_healthy_by_its_status_code(status: int, expected: str) -> None:
    with http_server(status) as (url, _):
        state = await asked(url)
    assert state.status == expected
    answer = state.metadata["http_status"] if expected == "healthy" else state.metadata["why"]
    assert str(status) in str(answer)


async def test_redirect_is_not_followed() -> None:
    with http_server(200) as (elsewhere, asked_elsewhere), http_server(302, elsewhere) as (url, asked_here):
        assert (await asked(url)).status == "healthy"
    assert (asked_here, asked_elsewhere) == (["/health"], [])


async def test_http_service_is_healthy_before_its_body_ends() -> None:
    with http_server(200, endless=True) as (url, _):
        assert (await asked(url)).status == "healthy"


async def test_no_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    with http_server(200) as (url, _):
        assert (await asked(url)).status == "healthy"
    async with grpc_server({"": "SERVING"}) as port:
        assert (await asked(f"grpc://127.0.0.1:{port}")).status == "healthy"


@asynccontextmanager
async def grpc_server(statuses: dict[str, str] | None) -> AsyncIterator[int]:
    """Yield the port of a gRPC server; the server has no health service if `statuses` is None."""
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
async def test_grpc_service_is_healthy_by_its_health_check(path: str, expected: str) -> None:
    async with grpc_server({"": "SERVING", "well": "SERVING", "ill": "NOT_SERVING"}) as port:
        state = await asked(f"grpc://127.0.0.1:{port}{path}")
    status, _, why = expected.partition(": ")
    assert state.status == status
    assert why in state.metadata.get("why", "")


async def test_grpc_server_without_health_check_differs_from_absent_one() -> None:
    async with grpc_server(None) as port:
        assert "does not offer the standard health check" in (await asked(f"grpc://127.0.0.1:{port}")).metadata["why"]
    with closed_port() as closed:
        assert "UNAVAILABLE" in (await asked(f"grpc://127.0.0.1:{closed}")).metadata["why"]


async def test_restarted_grpc_service_is_healthy_at_next_probe() -> None:
    with closed_port() as port:
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


async def test_listening_port_is_healthy_and_closed_port_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert (await asked(f"tcp://127.0.0.1:{port}")).status == "healthy"
    with closed_port() as closed:
        why = (await asked(f"tcp://127.0.0.1:{closed}")).metadata["why"]
    assert why == f"127.0.0.1:{closed} accepts no connection: Connection refused."


@pytest.mark.parametrize("scheme", ["http", "grpc", "postgresql"])
async def test_server_that_never_answers_is_unhealthy_within_the_limit(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        state = await asked(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}", timeout_seconds=0.5)
    assert state.metadata["why"] == "The service did not answer within 0.5 s."


async def test_host_that_drops_packets_is_unhealthy_within_the_limit() -> None:
    with ExitStack() as opened:
        full = opened.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(8):  # until the queue is full: the kernel then drops further requests to connect
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        state = await asked(f"tcp://127.0.0.1:{full.getsockname()[1]}", timeout_seconds=0.5)
    assert state.metadata["why"] == "The service did not answer within 0.5 s."


async def test_foreign_database_needs_no_table_of_perdure(database_url: str) -> None:
    conn = await asyncpg.connect(database_url)
    await conn.execute(
        f"""DROP SCHEMA public CASCADE; CREATE SCHEMA bare;
            CREATE TABLE bare.pg_available_extensions (name text);
            ALTER DATABASE {database_url.rpartition("/")[2]} SET search_path = bare, pg_catalog"""
    )
    await conn.close()
    assert (await asked(database_url)).status == "healthy"


async def test_refusing_database_is_unhealthy_and_hides_its_password(database_url: str) -> None:
    user, _, place = database_url.rpartition("@")
    wrong = f"{user.rpartition(':')[0]}:hunter2@{place}"
    state = await asked(wrong)
    assert state.status == "unhealthy"
    assert "hunter2" not in str(state)


@contextmanager
def closed_port() -> Iterator[int]:
    """Yield a port on which nothing listens, and which no other process gets.

    A gRPC server of this process may listen on it, because both sockets set SO_REUSEPORT.
    """
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])
