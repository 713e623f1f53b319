"""Connecting to Temporal: one way for every program, and one sentence for everything that can be wrong."""

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
    "InvalidContentType": "TLS is asked for, and it does not speak it",
    "PrivateKeyParseError": "TLS fails, for our private key cannot be read",
    "CertificateParseError": "TLS fails, for a certificate cannot be read",
    "CertificateRequired": "TLS fails, for it wants a certificate of ours",
    "UnknownIssuer": "TLS fails, for its certificate is by an issuer that we do not know",
    "NotValidForName": "TLS fails, for its certificate names another server",
    "InvalidCertificate": "TLS fails, for its certificate is not valid",
    "AlertReceived": "TLS fails, for it does not take our certificate",
    "http2 error": "what answers there is no Temporal server, or wants TLS (TEMPORAL_TLS=true)",
    "operation was canceled": "what answers there is no Temporal server, or wants TLS (TEMPORAL_TLS=true)",
    "transport error": "what answers there is no Temporal server, or wants TLS (TEMPORAL_TLS=true)",
}
"""What the transport says, in its own words, and what it means."""

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
"""What to run where we may not register them ourselves."""


async def connect(settings: Settings, *, identity: str | None = None) -> Client:
    """A client for the server of these settings, with the data converter that all of Perdure uses.

    Args:
        settings: where the server is.
        identity: under which the client shows in histories; by default process and host.

    Raises:
        ServerUnreachable: no server answers there, it refuses us, or it lacks the namespace.
    """
    return await connect_to(settings.temporal, identity=identity)


async def connect_to(temporal: TemporalSettings, *, identity: str | None = None) -> Client:
    """The same, from Temporal's part of the settings alone."""
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
            await client.count_workflows("ExecutionStatus = 'Running'")  # asks for the namespace as well
    except RPCError as error:
        raise ServerUnreachable(_refusal(temporal, error)) from error
    except (RuntimeError, TimeoutError, ValueError) as error:
        raise ServerUnreachable(_failure(temporal, error)) from error
    return client


@cache
def _runtime() -> Runtime:
    """Has the SDK's core log where Python does: by itself it writes to stdout, which belongs to the programs' JSON."""
    core = LogForwardingConfig(logging.getLogger("temporalio.core"))
    levels = TelemetryFilter(core_level="WARN", other_level="ERROR")
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=levels, forwarding=core)))


async def ensure_search_attributes(client: Client, *, say: Callable[[str], None] = log.warning) -> bool:
    """Register the search attributes unless they are there; True once they can be used, False if they cannot.

    `say` is told what to run where registering them is not permitted.

    Raises:
        RPCError: the server cannot be asked.
    """
    if await _usable(client):
        return True
    try:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=SEARCH_ATTRIBUTES)
        )
    except RPCError as error:
        if error.status == RPCStatusCode.ALREADY_EXISTS:
            pass  # by another process, just now
        elif error.status in _CANNOT_REGISTER:
            say(
                f"The server does not let us register search attributes ({_brief(error)}), so runs cannot be filtered "
                f"by progress; whoever may can run: {REGISTER_COMMAND} --namespace {client.namespace}"
            )
            return False
        else:
            raise
    for _ in range(int(SEARCH_ATTRIBUTES_SECONDS / _POLL_SECONDS)):
        if await _usable(client):
            return True
        await asyncio.sleep(_POLL_SECONDS)
    say("The server has not made the search attributes usable in time; this run goes on without them.")
    return False


def ui_link(settings: Settings, workflow_id: str) -> str | None:
    """Return where the Web UI shows a run; None if the address of the Web UI is not known.

    The link names no execution, so it leads to the latest one also after the run continued as new.
    """
    workflows = _ui_workflows(settings)
    return f"{workflows}/{quote(workflow_id, safe='')}" if workflows else None


def ui_list_link(settings: Settings, query: str) -> str | None:
    """Return where the Web UI lists the runs that a visibility query finds; None if its address is not known."""
    workflows = _ui_workflows(settings)
    return f"{workflows}?query={quote(query, safe='')}" if workflows else None


def _ui_workflows(settings: Settings) -> str | None:
    base, namespace = settings.temporal.web_ui, settings.temporal.namespace
    return f"{base.rstrip('/')}/namespaces/{quote(namespace, safe='')}/workflows" if base else None


async def _usable(client: Client) -> bool:
    """Servers learn of new attributes one part after the other: what counts is that a query takes them."""
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
        return _denial(temporal, text.partition('message: "')[2].partition('"')[0] or "it gives no reason")
    why = next((meaning for sign, meaning in _SIGNS.items() if sign in text), text)
    return f"No Temporal server can be reached at {temporal.address}: {why}."


def _denial(temporal: TemporalSettings, why: str) -> str:
    whom = "our API key" if temporal.api_key else "us, and TEMPORAL_API_KEY is not set"
    return f"The Temporal server at {temporal.address} refuses {whom}: {why}."


def _brief(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
