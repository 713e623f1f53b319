"""`status`, `watch`, `list`, `checkpoints`, `failures`: read-only, without a living worker."""

from dataclasses import asdict
from typing import Annotated

import typer

from commands.chosen_run import named_or_latest, run_command
from commands.following import follow_to_end
from commands.options import AsJson, RunToRead
from commands.output import brief_time, exit_code, print_json, print_table, readable, say
from commands.run_state import describe_services, print_report, print_state
from orchestration.client.following import LIST_AT_MOST
from orchestration.client.orchestrator import PipelineOrchestrator

NUMBERS = ("documents", "processed", "quarantined", "remaining", "quality", "checkpoint", "attempts", "#")

app = typer.Typer()


@app.command()
def status(*, workflow_id: RunToRead = None, as_json: AsJson = False) -> None:
    """Show the state of a run; exit code 0 for every status."""

    async def main() -> None:
        async with PipelineOrchestrator(own_worker=False) as client:
            report = await client.status(await named_or_latest(client, workflow_id))
            if as_json:
                print_json(report)
            else:
                await print_state(client, report)

    run_command(main)


@app.command()
def watch(*, workflow_id: RunToRead = None, as_json: AsJson = False) -> None:
    """Follow a run to its end; exit code 0 if it completed, 1 if it ended otherwise."""

    async def main() -> int:
        async with PipelineOrchestrator(own_worker=False) as client:
            ended = await follow_to_end(client, await named_or_latest(client, workflow_id))
            if as_json:
                print_json(ended)
            else:
                print_report(ended)
            return exit_code(ended)

    run_command(main)


@app.command("list")
def list_runs(
    *,
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most runs to list.")] = LIST_AT_MOST,
) -> None:
    """List the runs that Temporal knows, the newest first, then those that only the stores know."""

    async def main() -> None:
        async with PipelineOrchestrator(own_worker=False) as reader:
            reports = await reader.list_runs(limit)
        if as_json:
            print_json([report.model_dump(mode="json") for report in reports])
            return
        if not reports:
            say("There are no runs yet.")
            return
        print_table(
            ("workflow id", "status", "documents", "processed", "quarantined", "quality", "started (UTC)"),
            [
                (
                    report.workflow_id,
                    readable(report.workflow_status),
                    report.documents.total,
                    report.documents.processed,
                    report.documents.quarantined,
                    f"{report.quality_score:.2f}",
                    brief_time(report.started_at),
                )
                for report in reports
            ],
            right=NUMBERS,
        )

    run_command(main)


@app.command()
def checkpoints(*, workflow_id: RunToRead = None, as_json: AsJson = False) -> None:
    """List a run's checkpoints, oldest first."""

    async def main() -> None:
        async with PipelineOrchestrator(own_worker=False) as reader:
            run = await named_or_latest(reader, workflow_id)
            await reader.status(run)  # refuses an unknown run, which would look like a run without checkpoints
            stored = await reader.list_checkpoints(run)
        if as_json:
            print_json([checkpoint.model_dump(mode="json") for checkpoint in stored])
            return
        print_table(
            ("#", "time (UTC)", "status", "processed", "remaining", "quality", "services", "checkpoint id"),
            [
                (
                    checkpoint.sequence,
                    brief_time(checkpoint.timestamp),
                    readable(checkpoint.workflow_status),
                    checkpoint.processed_documents,
                    checkpoint.state_data.documents_remaining,
                    f"{checkpoint.state_data.current_quality_score:.2f}",
                    describe_services(checkpoint),
                    checkpoint.checkpoint_id,
                )
                for checkpoint in stored
            ],
            right=NUMBERS,
        )

    run_command(main)


@app.command()
def failures(*, workflow_id: RunToRead = None, as_json: AsJson = False) -> None:
    """List a run's quarantined documents with their reasons.

    `attempts` counts the attempts since the last start or retry of the run.
    """

    async def main() -> None:
        async with PipelineOrchestrator(own_worker=False) as reader:
            run = await named_or_latest(reader, workflow_id)
            quarantined = await reader.failures(run)
        if as_json:
            print_json([asdict(failure) for failure in quarantined])
            return
        if not quarantined:
            say(f"The run '{run}' has no quarantined documents.")
            return
        print_table(
            ("#", "document", "reason", "kind", "attempts"),
            [
                (failure.position, failure.uri, failure.reason, failure.error_type, failure.attempts)
                for failure in quarantined
            ],
            right=NUMBERS,
        )

    run_command(main)
