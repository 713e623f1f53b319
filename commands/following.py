"""Follow a run to its end in the terminal.

If the user interrupts the command, a sentence names the command that continues the run.
"""

import asyncio

from commands.output import say
from commands.progress import RunDisplay
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.run_status import RunReport
from orchestration.invocation import command_line
from orchestration.worker.slot import live_workers


async def follow_to_end(client: PipelineOrchestrator, workflow_id: str) -> RunReport:
    """Show the run's progress until it ends; returns its last report.

    Raises:
        UnknownWorkflow: neither Temporal nor a store knows the run.
        ServerUnreachable: Temporal has not answered for too long.
        CancelledError: Ctrl-C or SIGTERM; the function has printed how to continue the run.
    """
    current = await client.status(workflow_id)
    recovered = current.recovered
    held_back_by: str | None = None
    try:
        with RunDisplay() as display:
            async for current in client.follow(workflow_id):
                if current.recovered != recovered:
                    recovered = current.recovered
                    display.stop()
                    say(f"Recovered: {recovered}")
                if current.held_back_by != held_back_by and current.running:
                    held_back_by = current.held_back_by
                    display.stop()
                    say(f"Paused: {held_back_by}" if held_back_by else "The run continues: all services are healthy.")
                display.show(current, no_worker_note(client, current))
    except asyncio.CancelledError:
        say(safe_to_interrupt(workflow_id))
        raise
    return current


def safe_to_interrupt(workflow_id: str) -> str:
    """Return what to print when a user interrupts a command that follows a run."""
    return (
        f"Interrupted: nothing of the run '{workflow_id}' is lost. Continue it with: "
        f"{command_line('resume', '--workflow-id', workflow_id)}"
    )


def no_worker_note(client: PipelineOrchestrator, current: RunReport) -> str:
    """Return "no worker is alive" if that is certain, else an empty text.

    The absence is certain for embedded servers only: other servers may have workers on other machines.
    """
    embedded = client.settings.temporal.embedded
    alone = current.running and embedded and not live_workers(client.settings.data_dir)
    return "no worker is alive" if alone else ""
