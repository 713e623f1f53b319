"""Print the state of one run.

For a run in progress, the state includes its window, its services and its workers.
"""

from datetime import UTC, datetime

from commands.following import no_worker_note
from commands.output import brief_time, print_line, readable
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.run_status import RunReport
from orchestration.worker.slot import live_workers
from perdure.checkpoint import WorkflowCheckpoint

SECONDS_IN_A_MINUTE = 60
SECONDS_IN_AN_HOUR = 3600


async def print_state(client: PipelineOrchestrator, report: RunReport) -> None:
    """Print a run's report.

    For a running run, print also its unavailable dependency, window, services, workers and remaining time.
    """
    note = no_worker_note(client, report)
    extra: dict[str, str] = {}
    if report.running:
        progress = await client.ask_progress(report.workflow_id)
        if progress:
            if report.waiting:
                note = progress.waiting_for or note
            extra["Window"] = f"up to {progress.concurrency} batches in flight"
        extra["Time left"] = describe_time_left(report, datetime.now(UTC))
        alive = live_workers(client.settings.data_dir)
        listed = ", ".join(f"process {pid} in slot {slot}" for slot, pid in sorted(alive.items()))
        extra["Workers"] = f"{len(alive)} of this data folder" + (f": {listed}" if listed else "")
    checkpoint = await client.get_latest_checkpoint(report.workflow_id)
    if checkpoint:
        extra["Services"] = describe_services(checkpoint)
    print_report(report, note, extra)


def print_report(report: RunReport, note: str = "", extra: dict[str, str] | None = None) -> None:
    """Print a report to stdout, one fact on each line.

    Args:
        report: report of the run.
        note: printed after the status, if not empty.
        extra: further facts by their names; empty facts are left out.
    """
    documents = report.documents
    mark = report.latest_checkpoint
    lines = {
        "Run": report.workflow_id,
        "Status": readable(report.workflow_status) + (f" ({note})" if note else ""),
        "Started": f"{brief_time(report.started_at)} UTC" if report.started_at else "",
        "Documents": f"{documents.processed} processed, {documents.quarantined} quarantined, "
        f"{documents.remaining} remaining, of {documents.total}",
        "Quality": f"{report.quality_score:.2f}",
        "Checkpoint": f"{mark.sequence} {mark.checkpoint_id} of {brief_time(mark.timestamp)} UTC, "
        f"{mark.processed_documents} processed"
        if mark
        else "none",
        **(extra or {}),
        "Held back": report.held_back_by or "" if report.running else "",
        "Recovered": report.recovered or "",
        "Web UI": report.web_ui or "",
    }
    for name, text in lines.items():
        if text:
            print_line(f"{name + ':':<12}{text}")


def describe_services(checkpoint: WorkflowCheckpoint) -> str:
    """Return the unhealthy services with their states, or "all healthy".

    The text is empty for a checkpoint without any service.
    """
    unhealthy = [
        f"{name} {state.status}"
        for name, state in sorted(checkpoint.service_states.items())
        if state.status != "healthy"
    ]
    return ", ".join(unhealthy) or ("all healthy" if checkpoint.service_states else "")


def describe_time_left(report: RunReport, at: datetime) -> str:
    """Return the time for the remaining documents, at the average pace since the start.

    The text is empty while the pace is unknown.
    """
    done = report.documents.processed + report.documents.quarantined
    if not (report.started_at and done and report.documents.remaining):
        return ""
    elapsed = (at - report.started_at).total_seconds()
    return f"about {describe_seconds(elapsed / done * report.documents.remaining)} at the pace so far"


def describe_seconds(seconds: float) -> str:
    """Return a duration in the unit that suits it: 12 s, 3 min, 2.5 h."""
    if seconds < 2 * SECONDS_IN_A_MINUTE:
        return f"{max(1, round(seconds))} s"
    if seconds < 2 * SECONDS_IN_AN_HOUR:
        return f"{round(seconds / SECONDS_IN_A_MINUTE)} min"
    return f"{seconds / SECONDS_IN_AN_HOUR:.1f} h"
