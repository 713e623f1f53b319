"""The commands that change a run in progress.

A worker must be alive to answer each command except `cancel`.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from commands.chosen_run import run_command
from commands.following import follow_to_end
from commands.options import AsJson, Ignore, Include, WorkflowId, chosen
from commands.output import print_json, say
from orchestration.client.orchestrator import PipelineOrchestrator
from workflows.messages import MAX_CONCURRENCY

app = typer.Typer()

Wait = Annotated[bool, typer.Option("--wait", help="Return only when the change has taken effect.")]


@app.command()
def pause(*, workflow_id: WorkflowId, as_json: AsJson = False) -> None:
    """Stop handing out documents; documents in process finish."""

    async def act(client: PipelineOrchestrator) -> str:
        await client.pause(workflow_id)
        return "The run is paused. Documents in process finish."

    _steer(workflow_id, act, as_json=as_json)


@app.command()
def unpause(*, workflow_id: WorkflowId, as_json: AsJson = False) -> None:
    """Continue a paused run."""

    async def act(client: PipelineOrchestrator) -> str:
        await client.unpause(workflow_id)
        return "The run continues."

    _steer(workflow_id, act, as_json=as_json)


# With this setting, -1 is a number out of range and not an unknown option.
@app.command(context_settings={"ignore_unknown_options": True})
def concurrency(
    *,
    number: Annotated[int, typer.Argument(metavar="N", min=1, max=MAX_CONCURRENCY)],
    workflow_id: WorkflowId,
    as_json: AsJson = False,
) -> None:
    """Change how many batches of a run are in flight.

    A smaller number takes effect as batches finish.
    """

    async def act(client: PipelineOrchestrator) -> str:
        progress = await client.set_concurrency(workflow_id, number)
        return f"Up to {progress.concurrency} batches are in flight from now on."

    _steer(workflow_id, act, as_json=as_json)


@app.command()
def add(
    *,
    sources: Annotated[list[str], typer.Argument(metavar="SOURCES...", help="Files and folders.")],
    include: Include = None,
    ignore: Ignore = None,
    workflow_id: WorkflowId,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Add files and folders to an open run; with --wait, return when a checkpoint covers them."""

    async def act(client: PipelineOrchestrator) -> str:
        added = await client.add_documents(workflow_id, chosen(sources, include, ignore), wait=wait)
        count = added.end_ordinal - added.first_ordinal
        if not count:
            return "The run has all of these documents already: nothing was added."
        return f"Added {count} document(s)" + (", and a checkpoint covers them." if added.saved else ".")

    _steer(workflow_id, act, as_json=as_json)


@app.command()
def close(*, workflow_id: WorkflowId, as_json: AsJson = False) -> None:
    """Let an open run take no more documents; it ends when all of its documents are done."""

    async def act(client: PipelineOrchestrator) -> str:
        await client.close_intake(workflow_id)
        return "The run takes no more documents, and ends when all of its documents are done."

    _steer(workflow_id, act, as_json=as_json)


@app.command()
def cancel(*, workflow_id: WorkflowId, wait: Wait = False, as_json: AsJson = False) -> None:
    """End a run early, with a last checkpoint.

    The run hands out no more documents, and writes its last checkpoint as soon as a worker is alive.
    """

    async def main() -> int:
        async with PipelineOrchestrator(own_worker=False) as client:
            await client.cancel(workflow_id)
            if not wait:
                say("The run was asked to stop.")
                if as_json:
                    print_json(await client.status(workflow_id))
                return 0
            ended = await follow_to_end(client, workflow_id)
            if as_json:
                print_json(ended)
            return 0 if ended.workflow_status == "cancelled" else 1

    run_command(main)


def _steer(workflow_id: str, act: Callable[[PipelineOrchestrator], Awaitable[str]], *, as_json: bool) -> None:
    async def main() -> None:
        async with PipelineOrchestrator(own_worker=False) as client:
            say(await act(client))
            if as_json:
                print_json(await client.status(workflow_id))

    run_command(main)
