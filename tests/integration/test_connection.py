"""A failed connection to Temporal raises an error whose one sentence names the address."""

import socket
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest

from orchestration import connection
from orchestration.connection import connect_to, ui_link
from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from perdure.errors import ServerUnreachable


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server or a resolver of names on a busy machine may answer later than within the product's five seconds."""
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 120.0)


@pytest.fixture
async def denying() -> AsyncIterator[str]:
    """Yield the address of a server that refuses every login."""

    async def deny(_request: bytes, context: grpc.aio.ServicerContext) -> None:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "Request unauthorized")

    server = grpc.aio.server()
    method = {"GetSystemInfo": grpc.unary_unary_rpc_method_handler(deny)}
    service = "temporal.api.workflowservice.v1.WorkflowService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, method),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


async def refuse(temporal: TemporalSettings) -> str:
    with pytest.raises(ServerUnreachable) as refused:
        await connect_to(temporal)
    sentence = str(refused.value)
    assert temporal.address in sentence
    assert "\n" not in sentence
    return sentence


async def test_refused_connection_is_named() -> None:
    assert "connection is refused" in await refuse(TemporalSettings("127.0.0.1:1"))


async def test_unknown_host_is_named() -> None:
    assert "name cannot be resolved" in await refuse(TemporalSettings("no.such.host.invalid:7233"))


async def test_silent_server_is_given_up_after_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "within 1 seconds" in await refuse(TemporalSettings(f"127.0.0.1:{silent.getsockname()[1]}"))


async def test_missing_namespace_is_named(temporal_server: TemporalSettings) -> None:
    assert "has no namespace 'absent'" in await refuse(TemporalSettings(temporal_server.address, "absent"))


async def test_server_without_tls_is_named(temporal_server: TemporalSettings) -> None:
    assert "TLS is on" in await refuse(TemporalSettings(temporal_server.address, tls=True))


async def test_server_other_than_temporal_is_named(temporal_server: TemporalSettings) -> None:
    assert temporal_server.web_ui
    sentence = await refuse(TemporalSettings(temporal_server.web_ui.removeprefix("http://")))
    assert "no Temporal server, or requires TLS" in sentence


async def test_missing_key_and_wrong_key_differ(denying: str) -> None:
    assert "TEMPORAL_API_KEY is not set" in await refuse(TemporalSettings(denying))
    assert "refuses the API key" in await refuse(TemporalSettings(denying, api_key="wrong"))


def test_link_escapes_the_workflow_id(settings: Settings) -> None:
    link = ui_link(settings, "a/b?c#d e")
    assert link == f"{settings.temporal.web_ui}/namespaces/default/workflows/a%2Fb%3Fc%23d%20e"
