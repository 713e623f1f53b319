"""The namespace of the embedded Temporal server: its creation and its retention."""

import asyncio
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    DescribeNamespaceRequest,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

RETENTION = timedelta(days=30)
"""How long the server keeps closed runs. The development server's default is one day, after which only the mirror has
a run."""
_APPEAR_SECONDS = 15.0
_POLL_SECONDS = 0.05


async def ensure_namespace(client: Client, namespace: str) -> None:
    """Create the namespace if it is missing, and correct its retention.

    Raises:
        RPCError: the server refuses.
    """
    service = client.workflow_service
    retention = Duration()
    retention.FromTimedelta(RETENTION)
    try:
        described = await service.describe_namespace(DescribeNamespaceRequest(namespace=namespace))
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        await service.register_namespace(
            RegisterNamespaceRequest(namespace=namespace, workflow_execution_retention_period=retention)
        )
        await _wait_until_visible(client, namespace)
        return
    if described.config.workflow_execution_retention_ttl != retention:
        config = NamespaceConfig(workflow_execution_retention_ttl=retention)
        await service.update_namespace(UpdateNamespaceRequest(namespace=namespace, config=config))


async def _wait_until_visible(client: Client, namespace: str) -> None:
    """Wait until the server can list the namespace's runs.

    The visibility service is the last part of the server to learn of a new namespace.
    """
    async with asyncio.timeout(_APPEAR_SECONDS):
        while True:
            try:
                await client.workflow_service.count_workflow_executions(
                    CountWorkflowExecutionsRequest(namespace=namespace)
                )
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise
                await asyncio.sleep(_POLL_SECONDS)
            else:
                return
