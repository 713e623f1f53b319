"""`resume`, in a checkout also the program `resume_workflow.py`: bring a run to its end."""

import asyncio
from typing import Annotated

import typer

from commands.chosen_run import run_command
from commands.following import safe_to_interrupt
from commands.options import AsJson, WorkflowId
from commands.output import exit_code, print_json, say_when
from commands.progress import RunDisplay
from commands.servers import ensure_servers, prepared_settings
from commands.settings_check import say_differences
from commands.usage import run_app
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.workflow_ids import checked_workflow_id

app = typer.Typer(add_completion=False)


@app.command()
def resume(
    *,
    workflow_id: WorkflowId,
    checkpoint_id: Annotated[
        str | None,
        typer.Option(
            "--checkpoint-id",
            metavar="C",
            help="Start from this checkpoint. An older checkpoint than the latest starts a fork.",
        ),
    ] = None,
    keep_open: Annotated[bool, typer.Option("--keep-open", help="Do not close an open run; follow it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a run to its end from its latest checkpoint, with a worker if none is alive.

    The command starts the embedded servers that are needed, and leaves them running. Exit codes: 0 the run is
    completed, 1 the run ended otherwise, 2 the command was refused, 130 interrupted.
    """
    run_command(lambda: _resume(workflow_id, checkpoint_id, keep_open=keep_open, as_json=as_json))


async def _resume(workflow_id: str, checkpoint_id: str | None, *, keep_open: bool, as_json: bool) -> int:
    checked_workflow_id(workflow_id)
    await ensure_servers()
    settings = await prepared_settings()
    say_differences(settings)
    display = RunDisplay()

    def tell(sentence: str) -> None:
        display.stop()
        say_when(sentence)

    async with PipelineOrchestrator(settings) as orchestrator:
        try:
            ended = await orchestrator.resume_workflow_from_checkpoint(
                workflow_id, checkpoint_id, keep_open=keep_open, say=tell, on_report=display.show
            )
        except asyncio.CancelledError:
            tell(safe_to_interrupt(workflow_id))
            raise
        finally:
            display.stop()
    if as_json:
        print_json(ended)
    return exit_code(ended)


def main() -> None:
    """Run `resume_workflow.py` and leave with its exit code."""
    run_app(app)
