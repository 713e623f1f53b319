"""`status`, `watch`, `list`, `checkpoints` and `failures`: they work whether or not a worker is alive."""

from dataclasses import asdict
from typing import Annotated

import typer

from commands.following import follow_to_end, no_worker_note
from commands.options import AsJson, WorkflowId
from commands.output import answers, brief_time, exit_code, print_json, print_table, readable, say
from orchestration.client.run_client import RunClient
from orchestration.client.run_reader import LIST_AT_MOST, RunReader
from orchestration.client.run_status import RunReport
from orchestration.process_exit import run_main
from perdure.checkpoint import WorkflowCheckpoint

NUMBERS = ("documents", "processed", "quarantined", "remaining", "quality", "checkpoint", "attempts", "#")

app = typer.Typer()


@app.command()
def status(*, workflow_id: WorkflowId, as_json: AsJson = False) -> None:
    """Show how a run stands; exit code 0 whatever its status is."""

    async def main() -> None:
        async with RunClient(own_worker=False) as client:
            report = await client.status(workflow_id)
            if as_json:
                print_json(report)
                return
            note = no_worker_note(client, report)
            if report.waiting and report.running:
                note = await _waiting_for(client, workflow_id) or note
            _print_report(report, note)

    run_main(main)


@app.command()
def watch(*, workflow_id: WorkflowId, as_json: AsJson = False) -> None:
    """Follow a run to its end; exit code 0 if it completed, 1 if it ended otherwise."""

    async def main() -> int:
        async with RunClient(own_worker=False) as client:
            ended = await follow_to_end(client, workflow_id)
            if as_json:
                print_json(ended)
            else:
                _print_report(ended)
            return exit_code(ended)

    run_main(main)


@app.command("list")
def list_runs(
    *,
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Runs at the most.")] = LIST_AT_MOST,
) -> None:
    """List the runs that Temporal knows, the newest first, then those that only the stores know."""

    async def main() -> None:
        async with RunReader() as reader:
            reports = await reader.list_runs(limit)
            if as_json:
                print_json([report.model_dump(mode="json") for report in reports])
                return
            if not reports:
                say("There are no runs yet.")
            print_table(
                ("workflow id", "status", "documents", "processed", "quarantined", "quality", "started"),
                [
                    (
                        *(report.workflow_id, readable(report.workflow_status)),
                        *(report.documents.total, report.documents.processed, report.documents.quarantined),
                        *(f"{report.quality_score:.2f}", brief_time(report.started_at)),
                    )
                    for report in reports
                ],
                right=NUMBERS,
            )

    run_main(main)


@app.command()
def checkpoints(*, workflow_id: WorkflowId, as_json: AsJson = False) -> None:
    """List a run's checkpoints, oldest first."""

    async def main() -> None:
        async with RunReader() as reader:
            await reader.status(workflow_id)  # tells a run without checkpoints from one that nobody has heard of
            found = await reader.list_checkpoints(workflow_id)
            if as_json:
                print_json([checkpoint.model_dump(mode="json") for checkpoint in found])
                return
            print_table(
                ("#", "time (UTC)", "status", "processed", "remaining", "quality", "services", "checkpoint id"),
                [
                    (
                        *(one.sequence, brief_time(one.timestamp), readable(one.workflow_status)),
                        *(one.processed_documents, one.state_data.documents_remaining),
                        f"{one.state_data.current_quality_score:.2f}",
                        _services(one),
                        one.checkpoint_id,
                    )
                    for one in found
                ],
                right=NUMBERS,
            )

    run_main(main)


@app.command()
def failures(*, workflow_id: WorkflowId, as_json: AsJson = False) -> None:
    """List a run's quarantined documents and why."""

    async def main() -> None:
        async with RunReader() as reader:
            found = await reader.failures(workflow_id)
            if as_json:
                print_json([asdict(failure) for failure in found])
                return
            if not found:
                say(f"The run '{workflow_id}' has no quarantined documents.")
                return
            print_table(
                ("#", "document", "reason", "kind", "attempts"),
                [(one.position, one.uri, one.reason, one.error_type, one.attempts) for one in found],
                right=NUMBERS,
            )

    run_main(main)


def _services(checkpoint: WorkflowCheckpoint) -> str:
    """Only those that are not healthy by name, as a terminal is narrow."""
    ailing = [
        f"{name} {state.status}"
        for name, state in sorted(checkpoint.service_states.items())
        if state.status != "healthy"
    ]
    return ", ".join(ailing) or ("all healthy" if checkpoint.service_states else "")


async def _waiting_for(client: RunClient, workflow_id: str) -> str:
    progress = await client.ask_progress(workflow_id)
    return progress.waiting_for or "" if progress else ""


def _print_report(report: RunReport, note: str = "") -> None:
    documents, mark = report.documents, report.latest_checkpoint
    lines = {
        "Run": report.workflow_id,
        "Status": readable(report.workflow_status) + (f" ({note})" if note else ""),
        "Documents": f"{documents.processed} processed, {documents.quarantined} quarantined, "
        f"{documents.remaining} remaining, of {documents.total}",
        "Quality": f"{report.quality_score:.2f}",
        "Checkpoint": f"{mark.sequence} {mark.checkpoint_id} of {brief_time(mark.timestamp)} UTC, "
        f"{mark.processed_documents} processed"
        if mark
        else "none",
        "Held back": report.held_back_by or "" if report.running else "",
        "Recovered": report.recovered or "",
        "Web UI": report.web_ui or "",
    }
    for name, text in lines.items():
        if text:
            answers.print(f"{name + ':':<12}{text}", markup=False, soft_wrap=True)
