"""Connect to Temporal, with one sentence for each kind of failure."""

import asyncio
import logging
from collections.abc import Callable
from functools import cache
from urllib.parse import quote

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RPCError, RPCStatusCode

from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from perdure.errors import ServerUnreachable
from workflows.announcements import (
    DOCUMENTS_FAILED,
    DOCUMENTS_PROCESSED,
    DOCUMENTS_TOTAL,
    PIPELINE_STATUS,
    QUALITY_SCORE,
)

log = logging.getLogger("perdure.connection")

CONNECT_SECONDS = 5.0
SEARCH_ATTRIBUTES_SECONDS = 10.0
_POLL_SECONDS = 0.05
_REFUSED = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED)
_CANNOT_REGISTER = (*_REFUSED, RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.INVALID_ARGUMENT)

_SIGNS = {
    "ConnectionRefused": "the connection is refused",
    "dns error": "its name cannot be resolved",
    "InvalidContentType": "TLS is on, and the server does not use TLS",
    "PrivateKeyParseError": "TLS fails: the private key of the client cannot be read",
    "CertificateParseError": "TLS fails: a certificate cannot be read",
    "CertificateRequired": "TLS fails: the server requires a client certificate",
    "UnknownIssuer": "TLS fails: the issuer of its certificate is unknown",
    "NotValidForName": "TLS fails: its certificate names another server",
    "InvalidCertificate": "TLS fails: its certificate is not valid",
    "AlertReceived": "TLS fails: the server refuses the client certificate",
    "http2 error": "the program that answers is no Temporal server, or requires TLS (TEMPORAL_TLS=true)",
    "operation was canceled": "the program that answers is no Temporal server, or requires TLS (TEMPORAL_TLS=true)",
    "transport error": "the program that answers is no Temporal server, or requires TLS (TEMPORAL_TLS=true)",
}
"""A part of the transport's message to its meaning for the user."""

_INT = IndexedValueType.INDEXED_VALUE_TYPE_INT
SEARCH_ATTRIBUTES: dict[str, IndexedValueType.ValueType] = {
    DOCUMENTS_TOTAL.name: _INT,
    DOCUMENTS_PROCESSED.name: _INT,
    DOCUMENTS_FAILED.name: _INT,
    QUALITY_SCORE.name: IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE,
    PIPELINE_STATUS.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
}
REGISTER_COMMAND = "temporal operator search-attribute create " + " ".join(
    f"--name {name} --type {IndexedValueType.Name(kind).rpartition('_')[2].title()}"
    for name, kind in SEARCH_ATTRIBUTES.items()
)
"""The command with which an administrator registers the attributes if Perdure may not register them."""


async def connect(settings: Settings, *, identity: str | None = None) -> Client:
    """Return a client of the server that the settings name, with Perdure's data converter.

    Args:
        settings: give the address of the server.
        identity: identity of the client in histories; None for process id and host.

    Raises:
        ServerUnreachable: no server answers, the server refuses the client, or it lacks the namespace.
    """
    return await connect_to(settings.temporal, identity=identity)


async def connect_to(temporal: TemporalSettings, *, identity: str | None = None) -> Client:
    """Return a client like `connect`, from Temporal's part of the settings alone.

    Raises:
        ServerUnreachable: as for `connect`.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            client = await Client.connect(
                temporal.address,
                namespace=temporal.namespace,
                api_key=temporal.api_key,
                tls=temporal.tls,
                rpc_metadata=dict(temporal.rpc_metadata),
                data_converter=pydantic_data_converter,
                identity=identity,
                runtime=_runtime(),
            )
            await client.count_workflows("ExecutionStatus = 'Running'")  # fails if the namespace is missing
    except RPCError as error:
        raise ServerUnreachable(_refusal(temporal, error)) from error
    except (RuntimeError, TimeoutError, ValueError) as error:
        raise ServerUnreachable(_failure(temporal, error)) from error
    return client


@cache
def _runtime() -> Runtime:
    """Return a runtime whose core logs through Python.

    By default the core logs to stdout, which is for JSON.
    """
    core = LogForwardingConfig(logging.getLogger("temporalio.core"))
    levels = TelemetryFilter(core_level="WARN", other_level="ERROR")
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=levels, forwarding=core)))


async def ensure_search_attributes(client: Client, *, say: Callable[[str], None] = log.warning) -> bool:
    """Register the search attributes that are missing; return whether they can be used.

    Args:
        client: any client of the namespace.
        say: called with the command for an administrator if registering is not permitted.

    Raises:
        RPCError: the server cannot be reached.
    """
    if await _usable(client):
        return True
    try:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=SEARCH_ATTRIBUTES)
        )
    except RPCError as error:
        if error.status == RPCStatusCode.ALREADY_EXISTS:
            pass  # another process has just registered them
        elif error.status in _CANNOT_REGISTER:
            say(
                f"The server refuses to register search attributes ({_brief(error)}), so runs cannot be filtered by "
                f"progress. An administrator can run: {REGISTER_COMMAND} --namespace {client.namespace}"
            )
            return False
        else:
            raise
    for _ in range(int(SEARCH_ATTRIBUTES_SECONDS / _POLL_SECONDS)):
        if await _usable(client):
            return True
        await asyncio.sleep(_POLL_SECONDS)
    say("The server has not made the search attributes usable in time; this run continues without them.")
    return False


def ui_link(settings: Settings, workflow_id: str) -> str | None:
    """Return the address of a run's page in the Web UI; None if the Web UI is not known.

    The link names no execution, so it leads to the latest execution, also after the run continued as new.
    """
    workflows = _ui_workflows(settings)
    return f"{workflows}/{quote(workflow_id, safe='')}" if workflows else None


def ui_list_link(settings: Settings, query: str) -> str | None:
    """Return the address of the Web UI's list of the runs that a visibility query finds.

    Return None if the address of the Web UI is not known.
    """
    workflows = _ui_workflows(settings)
    return f"{workflows}?query={quote(query, safe='')}" if workflows else None


def _ui_workflows(settings: Settings) -> str | None:
    base = settings.temporal.web_ui
    namespace = settings.temporal.namespace
    return f"{base.rstrip('/')}/namespaces/{quote(namespace, safe='')}/workflows" if base else None


async def _usable(client: Client) -> bool:
    """Return whether a query can use the search attributes.

    The parts of a server learn of new attributes at different times, so only a query shows that they can be used.
    """
    query = " AND ".join(f"{name} IS NULL" for name in SEARCH_ATTRIBUTES)
    try:
        await client.count_workflows(query)
    except RPCError as error:
        if error.status == RPCStatusCode.INVALID_ARGUMENT:
            return False
        raise
    return True


def _refusal(temporal: TemporalSettings, error: RPCError) -> str:
    if error.status == RPCStatusCode.NOT_FOUND:
        return f"The Temporal server at {temporal.address} has no namespace '{temporal.namespace}'."
    if error.status in _REFUSED:
        return _denial(temporal, _brief(error))
    return f"The Temporal server at {temporal.address} cannot be used: {_brief(error)}."


def _failure(temporal: TemporalSettings, error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"No Temporal server answers at {temporal.address} within {CONNECT_SECONDS:.0f} seconds."
    text = _brief(error)
    if "code: Unauthenticated" in text or "code: PermissionDenied" in text:
        return _denial(temporal, text.partition('message: "')[2].partition('"')[0] or "the server gives no reason")
    why = next((meaning for sign, meaning in _SIGNS.items() if sign in text), text)
    return f"No Temporal server can be reached at {temporal.address}: {why}."


def _denial(temporal: TemporalSettings, why: str) -> str:
    refused = "the API key" if temporal.api_key else "this client, and TEMPORAL_API_KEY is not set"
    return f"The Temporal server at {temporal.address} refuses {refused}: {why}."


def _brief(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
