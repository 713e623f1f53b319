"""Services added to the capture by configuration: an HTTP(S) URL, a gRPC health check, a TCP port, a Postgres DSN."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

from perdure.errors import InvalidConfiguration, PerdureError
from perdure.services.analytics import AnalyticsService
from perdure.services.explanation import sentence
from perdure.services.health import Service
from perdure.services.identity import IdentityService

PostgresCheck = Callable[[str], Awaitable[None]]
"""Raises when the database at a DSN cannot be used."""

_OWN_NAMES = frozenset({IdentityService.name, AnalyticsService.name})


class NotServing(PerdureError):
    """The service answered that it does not serve."""


@dataclass(frozen=True, slots=True)
class HttpService:
    """Healthy when a GET answers with a status below 400; redirects are not followed, the body is not read."""

    name: str
    url: str = field(repr=False)

    async def health(self, workflow_id: str) -> dict[str, Any]:  # noqa: ARG002 - asked of the service, not of a run
        import httpx  # noqa: PLC0415 - only runs that have such a service pay for it

        # The service itself is asked: no proxy or password file that the environment names comes between.
        client = httpx.AsyncClient(
            follow_redirects=False,
            timeout=None,  # noqa: S113 - the probe limits it
            trust_env=False,
            verify=_authorities() if self.url.lower().startswith("https:") else False,  # plain HTTP verifies nobody
        )
        async with client, client.stream("GET", self.url) as answer:
            if answer.status_code >= httpx.codes.BAD_REQUEST:
                raise NotServing(f"It answered with HTTP status {answer.status_code}.")
            return {"http_status": answer.status_code}


@dataclass(frozen=True, slots=True)
class GrpcService:
    """Asks the standard gRPC health service of `host:port`, for the service named in the path, if any."""

    name: str
    address: str
    service: str

    async def health(self, workflow_id: str) -> dict[str, Any]:  # noqa: ARG002 - as above
        import grpc.aio  # noqa: PLC0415 - as above
        from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415 - as above

        direct = [("grpc.enable_http_proxy", 0)]  # as above
        async with grpc.aio.insecure_channel(self.address, options=direct) as channel:
            try:
                stub = health_pb2_grpc.HealthStub(channel)
                answer = await stub.Check(health_pb2.HealthCheckRequest(service=self.service))
            except grpc.aio.AioRpcError as error:
                raise NotServing(self._why(error.code().name, error.details() or "no reason given")) from error
        status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        if status != "SERVING":
            raise NotServing(f"The gRPC health check says {status}.")
        return {"grpc_status": status}

    def _why(self, code: str, details: str) -> str:
        if code == "UNIMPLEMENTED":
            return "It speaks gRPC, but does not offer the standard health check grpc.health.v1 (UNIMPLEMENTED)."
        if code == "NOT_FOUND":
            return f"Its gRPC health check knows no service '{self.service}' (NOT_FOUND)."
        return f"The gRPC health check failed: {code}, {details.rstrip('.')}."


@dataclass(frozen=True, slots=True)
class TcpService:
    """Healthy when the port takes a connection."""

    name: str
    host: str
    port: int

    async def health(self, workflow_id: str) -> dict[str, Any]:  # noqa: ARG002 - as above
        address = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        try:
            _, writer = await asyncio.open_connection(self.host, self.port)
        except OSError as error:
            raise NotServing(f"{address} takes no connection: {sentence(error)}") from error
        writer.close()
        return {"address": address}


@dataclass(frozen=True, slots=True)
class PostgresService:
    """Healthy when the database can be connected to and asked."""

    name: str
    dsn: str = field(repr=False)
    check: PostgresCheck = field(repr=False)

    async def health(self, workflow_id: str) -> dict[str, Any]:  # noqa: ARG002 - as above
        await self.check(self.dsn)
        return {}


def external_services(configured: Mapping[str, str], check_postgres: PostgresCheck) -> list[Service]:
    """One service for each name and address, by name.

    Raises:
        InvalidConfiguration: a name cannot be used, or an address is of none of the four kinds, or incomplete; the
            message shows no part of an address but its scheme.
    """
    return [_service(name, address, check_postgres) for name, address in sorted(configured.items())]


def _service(name: str, address: str, check_postgres: PostgresCheck) -> Service:
    _check_name(name)
    parts, host, port = _parsed(name, address)
    match parts.scheme:
        case "http" | "https":
            return HttpService(name, address)
        case "postgres" | "postgresql":
            return PostgresService(name, address, check_postgres)
        case "grpc" | "tcp" if not port:
            raise InvalidConfiguration(f"The service '{name}' needs a port: {parts.scheme}://host:port.")
        case "grpc" if not (parts.query or parts.fragment or "@" in parts.netloc):
            return GrpcService(name, parts.netloc, parts.path.strip("/"))
        case "tcp" if parts.netloc == address.partition("://")[2].rstrip("/") and "@" not in parts.netloc:
            return TcpService(name, host, port or 0)
        case "grpc" | "tcp":
            form = "grpc://host:port/service" if parts.scheme == "grpc" else "tcp://host:port"
            raise InvalidConfiguration(f"The service '{name}' has more in its address than {form}.")
    raise InvalidConfiguration(
        f"The service '{name}' needs an address of http(s)://, grpc://, tcp:// or postgresql://, not '{parts.scheme}'."
    )


def _check_name(name: str) -> None:
    if not name.strip() or not name.isprintable():
        raise InvalidConfiguration(f"A service cannot be named {name!r}: a name holds visible characters.")
    if name in _OWN_NAMES:
        raise InvalidConfiguration(f"The service '{name}' has the name of one that every run has; choose another.")


def _parsed(name: str, address: str) -> tuple[SplitResult, str, int | None]:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:  # whose message may quote a password
        raise InvalidConfiguration(f"The service '{name}' has an address with a malformed host or port.") from error
    if not host:
        raise InvalidConfiguration(f"The service '{name}' has an address without a host.")
    if not address.isprintable() or " " in address:
        raise InvalidConfiguration(f"The service '{name}' has an address with a space or an invisible character.")
    return parts, host, port


@cache
def _authorities() -> ssl.SSLContext:
    """Whom HTTPS probes trust: the public authorities and the machine's own; loading them takes 20 ms."""
    import httpx  # noqa: PLC0415 - as above

    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context
