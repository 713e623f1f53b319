"""Lists the runs that Temporal or a store knows.

Commands use the list if the user names no run, or an unknown run.
"""

from datetime import datetime

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionDescription
from temporalio.service import RPCError, RPCStatusCode

from orchestration.stores import Stores
from perdure.errors import DependencyUnavailable, RefusedCommand
from workflows.messages import WORKFLOW_TYPE

NAMED_AT_MOST = 5
_COMPARED = 20
"""Number of executions whose starts are compared to find the latest run."""
_PERDURE_RUNS = f'WorkflowType="{WORKFLOW_TYPE}"'


async def find_latest_run(client: Client, stores: Stores) -> str:
    """Return the workflow id of the run that was started or resumed last.

    A run that continued as new counts from the start of its first execution.

    Raises:
        RefusedCommand: there is no run.
    """
    started: dict[str, datetime] = {}
    async for execution in client.list_workflows(_PERDURE_RUNS, limit=_COMPARED):
        if execution.id not in started:
            described = await client.get_workflow_handle(execution.id).describe()
            started[execution.id] = await first_start(client, described)
    if started:
        return max(started, key=lambda workflow_id: started[workflow_id])
    stored = await _list_stored(stores)
    if stored:
        return stored[0]
    raise RefusedCommand("There are no runs yet.")


async def first_start(client: Client, execution: WorkflowExecution | WorkflowExecutionDescription) -> datetime:
    """Return when the first execution of this execution's continue-as-new chain started.

    If the server has deleted the first execution, the function returns the start of the given execution.
    """
    first = execution.raw_info.first_run_id if isinstance(execution, WorkflowExecutionDescription) else ""
    if first in ("", execution.run_id):
        return execution.start_time
    try:
        return (await client.get_workflow_handle(execution.id, run_id=first).describe()).start_time
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return execution.start_time
        raise


async def name_known_runs(client: Client, stores: Stores) -> str:
    """Return a sentence that names some of the known runs, the newest first."""
    ids: list[str] = []
    async for execution in client.list_workflows(_PERDURE_RUNS, limit=_COMPARED):
        if execution.id not in ids:
            ids.append(execution.id)
    ids += [workflow_id for workflow_id in await _list_stored(stores) if workflow_id not in ids]
    if not ids:
        return "There are no runs yet."
    names = ", ".join(f"'{workflow_id}'" for workflow_id in ids[:NAMED_AT_MOST])
    more = f", and {len(ids) - NAMED_AT_MOST} more that `list` shows" if len(ids) > NAMED_AT_MOST else ""
    return f"The known runs are: {names}{more}."


async def _list_stored(stores: Stores) -> list[str]:
    """Return the workflow ids of the runs that the checkpoint stores know."""
    ids: dict[str, None] = {}
    for store in stores.checkpoints:
        try:
            ids |= dict.fromkeys(await store.workflow_ids())
        except DependencyUnavailable:
            continue
    return list(ids)
