"""The run that a command reads: the named run, else the latest run.

The refusal of an unknown workflow id also names the known runs.
"""

from collections.abc import Awaitable, Callable
from typing import NoReturn

from temporalio.service import RPCError

from commands.output import say
from orchestration.client.known_runs import find_latest_run, name_known_runs
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.workflow_ids import checked_workflow_id
from orchestration.process_exit import run_main
from perdure.errors import PerdureError, UnknownWorkflow


async def named_or_latest(reader: PipelineOrchestrator, workflow_id: str | None) -> str:
    """Return the given workflow id, else that of the latest run.

    A sentence on stderr names the latest run.

    Args:
        reader: an open orchestrator.
        workflow_id: value of `--workflow-id`; None if the option was not given.

    Raises:
        RefusedCommand: the id breaks the rules for workflow ids, or no id was given and there is no run.
    """
    if workflow_id is not None:
        return checked_workflow_id(workflow_id)
    latest = await find_latest_run(reader.client, reader.stores)
    say_which(latest)
    return latest


def say_which(workflow_id: str) -> None:
    """Print which run a command reads when the user named no run."""
    say(f"Run: {workflow_id} (the latest; --workflow-id names another)")


def run_command(main: Callable[[], Awaitable[int | None]]) -> NoReturn:
    """Run a command as `run_main` does.

    A refusal of an unknown workflow id also names the known runs.
    """

    async def guarded() -> int | None:
        try:
            return await main()
        except UnknownWorkflow as error:
            raise UnknownWorkflow(f"{error}{await _known_runs()}") from error

    run_main(guarded)


async def _known_runs() -> str:
    try:
        async with PipelineOrchestrator(own_worker=False) as reader:
            return f" {await name_known_runs(reader.client, reader.stores)}"
    except (PerdureError, RPCError):  # the servers cannot be asked, so the refusal names no runs
        return ""
