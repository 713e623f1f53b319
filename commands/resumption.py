"""The program `resume_workflow.py`."""

import asyncio
from typing import Annotated

import typer

from commands.following import safe_to_interrupt
from commands.options import AsJson, WorkflowId
from commands.output import exit_code, print_json, say_when
from commands.progress import RunDisplay
from commands.servers import ensure_servers, prepared_settings
from commands.usage import run_app
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.workflow_ids import checked_workflow_id
from orchestration.process_exit import run_main

app = typer.Typer(add_completion=False)


@app.command()
def resume(
    *,
    workflow_id: WorkflowId,
    checkpoint_id: Annotated[
        str | None,
        typer.Option(
            "--checkpoint-id", metavar="C", help="Go back to this checkpoint, as a fork if it is not the latest."
        ),
    ] = None,
    keep_open: Annotated[bool, typer.Option("--keep-open", help="Leave an open run open, and follow it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a run to its end from its latest checkpoint, with a worker if none is alive.

    Embedded servers that are needed are started, and stay up. Exit codes: 0 the run is completed, 1 it ended
    otherwise, 2 refused, 130 interrupted.
    """
    run_main(lambda: _resume(workflow_id, checkpoint_id, keep_open=keep_open, as_json=as_json))


async def _resume(workflow_id: str, checkpoint_id: str | None, *, keep_open: bool, as_json: bool) -> int:
    checked_workflow_id(workflow_id)
    await ensure_servers()
    display = RunDisplay()

    def tell(sentence: str) -> None:
        display.stop()
        say_when(sentence)

    async with PipelineOrchestrator(await prepared_settings()) as orchestrator:
        try:
            ended = await orchestrator.resume_workflow_from_checkpoint(
                workflow_id, checkpoint_id, keep_open=keep_open, say=tell, on_report=display.show
            )
        except asyncio.CancelledError:
            tell(safe_to_interrupt(workflow_id))
            raise
    if as_json:
        print_json(ended)
    return exit_code(ended)


def main() -> None:
    """Run the program and leave with its exit code."""
    run_app(app)
