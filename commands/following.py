"""Follow a run to its end in the terminal, and say what to do when the following is interrupted."""

import asyncio

from commands.output import command, say
from commands.progress import RunDisplay
from orchestration.client.run_client import RunClient
from orchestration.client.run_status import RunReport
from orchestration.worker.slot import live_workers


async def follow_to_end(client: RunClient, workflow_id: str) -> RunReport:
    """Show the run's progress until it ends; returns its last report.

    Raises:
        UnknownWorkflow: nobody has heard of it.
        ServerUnreachable: Temporal stays away.
        CancelledError: Ctrl-C or SIGTERM; what to do next has been said.
    """
    current = await client.status(workflow_id)
    recovered, held_back_by = current.recovered, None
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
                    say(f"Paused: {held_back_by}" if held_back_by else "It goes on: the services are well again.")
                display.show(current, no_worker_note(client, current))
    except asyncio.CancelledError:
        say(safe_to_interrupt(workflow_id))
        raise
    return current


def safe_to_interrupt(workflow_id: str) -> str:
    """What people need to know who have just pressed Ctrl-C."""
    return (
        f"Interrupted: the run '{workflow_id}' is safe where it stands; go on with: "
        f"{command('resume_workflow.py', '--workflow-id', workflow_id)}"
    )


def no_worker_note(client: RunClient, current: RunReport) -> str:
    """That nobody works on the run, if that is certain: workers elsewhere cannot be seen."""
    nobody = current.running and client.settings.temporal.embedded and not live_workers(client.settings.data_dir)
    return "no worker is alive" if nobody else ""
