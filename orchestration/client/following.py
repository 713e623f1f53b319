"""Read the state of a run, once or until the run ends. No worker has to be alive."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from temporalio.client import WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.connected import Connected
from orchestration.client.reconcile import reconcile_run
from orchestration.client.run_status import ENDED_IN_TEMPORAL, RunReport, read_report
from orchestration.client.workflow_ids import checked_workflow_id
from perdure.errors import DependencyUnavailable, ServerUnreachable, UnknownWorkflow
from workflows.messages import WORKFLOW_TYPE, PipelineInput, Progress

FOLLOW_EVERY_SECONDS = 0.3
LIST_AT_MOST = 100
AWAY_SECONDS = 60.0
"""Seconds for which the Temporal server may be unavailable while a client follows a run."""
QUERY_TIMEOUT = timedelta(seconds=3)
_AWAY = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED)


async def read_status(connected: Connected, workflow_id: str) -> RunReport:
    """Return the state of the run.

    If the run ended without recording its end, the function records the end first.

    Raises:
        UnknownWorkflow: neither Temporal nor a store knows the run.
    """
    settings = connected.settings
    client = connected.client
    stores = connected.stores
    current = await read_report(settings, client, stores, checked_workflow_id(workflow_id))
    ended_early = not current.running and current.workflow_status in ENDED_IN_TEMPORAL.values()
    if ended_early and await reconcile_run(client, stores, workflow_id, settings.task_queue):
        return await read_report(settings, client, stores, workflow_id)
    return current


async def follow(connected: Connected, workflow_id: str) -> AsyncIterator[RunReport]:
    """Yield the run's report repeatedly; the last one is that of the ended run.

    The function waits during a restart of the Temporal server. If the client may start workers, the function replaces
    a worker that ends.

    Raises:
        UnknownWorkflow: neither Temporal nor a store knows the run.
        ServerUnreachable: the Temporal server stays unavailable.
    """
    answered_at = time.monotonic()
    while True:
        try:
            current = await read_status(connected, workflow_id)
        except RPCError as error:
            if error.status not in _AWAY:
                raise
            if time.monotonic() - answered_at > AWAY_SECONDS:
                raise ServerUnreachable(
                    f"The Temporal server at {connected.settings.temporal.address} has been unavailable for more than "
                    f"{AWAY_SECONDS:.0f} seconds; the run continues when the server is available again."
                ) from error
        else:
            answered_at = time.monotonic()
            if current.running:
                await connected.worker.ensure()
            yield current
            if not current.running:
                return
        await asyncio.sleep(FOLLOW_EVERY_SECONDS)


async def wait(
    connected: Connected, workflow_id: str, on_report: Callable[[RunReport], None] = lambda _: None
) -> RunReport:
    """Follow the run to its end and return its last report.

    Args:
        connected: open connections to Temporal and the stores.
        workflow_id: workflow id of the run.
        on_report: called with each report.

    Raises:
        UnknownWorkflow: neither Temporal nor a store knows the run.
        ServerUnreachable: the Temporal server stays unavailable.
    """
    current = await read_status(connected, workflow_id)
    async for current in follow(connected, workflow_id):
        on_report(current)
    return current


async def list_runs(connected: Connected, limit: int = LIST_AT_MOST) -> list[RunReport]:
    """Return the newest runs that Temporal knows, then those that only a store knows."""
    reports: dict[str, RunReport] = {}
    async for execution in connected.client.list_workflows(f'WorkflowType="{WORKFLOW_TYPE}"', limit=limit):
        if execution.id not in reports:
            reports[execution.id] = await read_status(connected, execution.id)
    for store in connected.stores.checkpoints:
        try:
            stored = await store.workflow_ids()
        except DependencyUnavailable:
            continue
        for workflow_id in stored:
            if len(reports) < limit and workflow_id not in reports:
                reports[workflow_id] = await read_status(connected, workflow_id)
    return list(reports.values())


async def ask_progress(connected: Connected, workflow_id: str) -> Progress | None:
    """Return the progress that the workflow reports; None if no worker answers in time."""
    handle = connected.client.get_workflow_handle(checked_workflow_id(workflow_id))
    try:
        answer: Progress = await handle.query("progress", result_type=Progress, rpc_timeout=QUERY_TIMEOUT)
    except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError):
        return None
    return answer


async def read_original_input(connected: Connected, workflow_id: str, run_id: str) -> PipelineInput:
    """Return the input that an execution was started with, read from its history.

    Raises:
        UnknownWorkflow: the server has deleted the history.
    """
    handle = connected.client.get_workflow_handle(workflow_id, run_id=run_id)
    async for event in handle.fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        decoded = await connected.client.data_converter.decode(payloads, [PipelineInput])
        return PipelineInput.model_validate(decoded[0])
    raise UnknownWorkflow(f"The history of '{workflow_id}' is gone.")
