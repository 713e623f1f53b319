"""Health checks of configured services: HTTP(S), gRPC, TCP and Postgres addresses."""

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
"""Takes a database address; raises an error if the database cannot be used."""

_OWN_NAMES = frozenset({IdentityService.name, AnalyticsService.name})


class NotServing(PerdureError):
    """The service answered that it does not serve requests."""


@dataclass(frozen=True, slots=True)
class HttpService:
    """Healthy when a GET answers with a status below 400.

    The check follows no redirect and does not read the body.
    """

    name: str
    url: str = field(repr=False)

    async def health(self, workflow_id: str) -> dict[str, Any]:  # noqa: ARG002 - the protocol's argument
        """Send a GET and return the status code.

        Raises:
            NotServing: the status is 400 or above.
        """
        import httpx  # noqa: PLC0415 - only runs with such a service load it

        # `trust_env` is off so that no proxy or password file of the environment is used.
        client = httpx.AsyncClient(
            follow_redirects=False,
            timeout=None,  # noqa: S113 - `probe` sets the time limit
            trust_env=False,
            verify=_load_authorities() if self.url.lower().startswith("https:") else False,  # no certificate in HTTP
        )
        async with client, client.stream("GET", self.url) as answer:
            if answer.status_code >= httpx.codes.BAD_REQUEST:
                raise NotServing(f"It answered with HTTP status {answer.status_code}.")
            return {"http_status": answer.status_code}


@dataclass(frozen=True, slots=True)
class GrpcService:
    """Healthy when the standard gRPC health service says SERVING.

    The path of the address is the name of the service.
    """

    name: str
    address: str
    service: str

    async def health(self, workflow_id: str) -> dict[str, Any]:  # noqa: ARG002 - the protocol's argument
        """Ask the health service and return its answer.

        Raises:
            NotServing: the health service cannot be asked, or does not say SERVING.
        """
        import grpc.aio  # noqa: PLC0415 - only runs with such a service load it
        from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415 - only runs with such a service load it

        direct = [("grpc.enable_http_proxy", 0)]  # no proxy of the environment is used
        async with grpc.aio.insecure_channel(self.address, options=direct) as channel:
            try:
                stub = health_pb2_grpc.HealthStub(channel)
                answer = await stub.Check(health_pb2.HealthCheckRequest(service=self.service))
            except grpc.aio.AioRpcError as error:
                raise NotServing(
                    self._describe_failure(error.code().name, error.details() or "no reason given")
                ) from error
        status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        if status != "SERVING":
            raise NotServing(f"The gRPC health check says {status}.")
        return {"grpc_status": status}

    def _describe_failure(self, code: str, details: str) -> str:
        if code == "UNIMPLEMENTED":
            return "It speaks gRPC, but does not offer the standard health check grpc.health.v1 (UNIMPLEMENTED)."
        if code == "NOT_FOUND":
            return f"Its gRPC health check does not know the service '{self.service}' (NOT_FOUND)."
        return f"The gRPC health check failed: {code}, {details.rstrip('.')}."


@dataclass(frozen=True, slots=True)
class TcpService:
    """Healthy when the port accepts a connection."""

    name: str
    host: str
    port: int

    async def health(self, workflow_id: str) -> dict[str, Any]:  # noqa: ARG002 - the protocol's argument
        """Open and close a connection, and return the address.

        Raises:
            NotServing: the port accepts no connection.
        """
        address = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        try:
            _, writer = await asyncio.open_connection(self.host, self.port)
        except OSError as error:
            raise NotServing(f"{address} accepts no connection: {sentence(error)}") from error
        writer.close()
        return {"address": address}


@dataclass(frozen=True, slots=True)
class PostgresService:
    """Healthy when the database accepts a connection and answers a query."""

    name: str
    dsn: str = field(repr=False)
    check: PostgresCheck = field(repr=False)

    async def health(self, workflow_id: str) -> dict[str, Any]:  # noqa: ARG002 - the protocol's argument
        """Connect and query the database; return no figures."""
        await self.check(self.dsn)
        return {}


def external_services(configured: Mapping[str, str], check_postgres: PostgresCheck) -> list[Service]:
    """Return one service for each name and address, sorted by name.

    Raises:
        InvalidConfiguration: a name cannot be used, or an address is incomplete or of no known kind. The
            message shows no part of an address except its scheme, because an address may hold a password.
    """
    return [_make_service(name, address, check_postgres) for name, address in sorted(configured.items())]


def _make_service(name: str, address: str, check_postgres: PostgresCheck) -> Service:
    _check_name(name)
    parts, host, port = _parse_address(name, address)
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
            raise InvalidConfiguration(f"The service '{name}' has more in its address than {form}: leave the rest out.")
    raise InvalidConfiguration(
        f"The service '{name}' needs an address of http(s)://, grpc://, tcp:// or postgresql://, not '{parts.scheme}'."
    )


def _check_name(name: str) -> None:
    if not name.strip() or not name.isprintable():
        raise InvalidConfiguration(f"A service cannot be named {name!r}: a name holds visible characters.")
    if name in _OWN_NAMES:
        raise InvalidConfiguration(f"The service '{name}' has the name of a built-in service; choose another name.")


def _parse_address(name: str, address: str) -> tuple[SplitResult, str, int | None]:
    try:
        parts = urlsplit(address)
        host = parts.hostname
        port = parts.port
    except ValueError as error:
        # The message of urllib's error may quote a password, so this message replaces it.
        raise InvalidConfiguration(f"The service '{name}' has an address with a malformed host or port.") from error
    if not host:
        raise InvalidConfiguration(f"The service '{name}' has an address without a host.")
    if not address.isprintable() or " " in address:
        raise InvalidConfiguration(f"The service '{name}' has an address with a space or an invisible character.")
    return parts, host, port


@cache
def _load_authorities() -> ssl.SSLContext:
    """Return the certificate authorities that HTTPS checks trust: public ones and the machine's.

    The result is cached, because loading them takes 20 ms.
    """
    import httpx  # noqa: PLC0415 - only runs with such a service load it

    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context
