"""Print the results of an ended run, its failed documents, and where to find more."""

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from commands.output import COMPLETED, answers, print_line, readable
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.run_status import RunReport
from orchestration.connection import ui_list_link
from orchestration.embedded.postgres import installation
from orchestration.invocation import command_line
from orchestration.settings import Settings
from perdure.errors import DependencyUnavailable
from perdure.manifest import Changes, Failure
from perdure.stores.files.json_file import PersistentCheckpointStore
from perdure.stores.postgres.summary import summarise_run
from workflows.announcements import PIPELINE_STATUS
from workflows.messages import WORKFLOW_TYPE

FAILURES_AT_MOST = 10
NAMES = 5
CHECKPOINTS_SQL = (
    "SELECT sequence, timestamp, workflow_status, processed_documents, services "
    "FROM checkpoint_history WHERE workflow_id = '{}' ORDER BY sequence"
)


async def print_summary(orchestrator: PipelineOrchestrator, ended: RunReport, *, seconds: float) -> None:
    """Print a summary to stdout.

    If Postgres is unavailable, a sentence stands in place of the figures from Postgres.

    Args:
        orchestrator: an open orchestrator.
        ended: the last report of the run.
        seconds: how long the command took, from the start of the run.
    """
    colour = "green" if ended.workflow_status == COMPLETED else "yellow"
    answers.print()
    answers.print(f"[bold {colour}]{readable(ended.workflow_status)}[/] in {seconds:.1f} s", soft_wrap=True)
    counts = ended.documents
    left = f", {counts.remaining} not processed" if counts.remaining else ""
    _print_fact("Run", ended.workflow_id)
    _print_fact("Documents", f"{counts.processed} processed, {counts.quarantined} quarantined{left}, of {counts.total}")
    failures: Sequence[Failure] = []
    try:
        changes = await orchestrator.stores.manifest.changes(ended.workflow_id)
        if changes and (sentence := describe_changes(changes)):
            _print_fact("Changes", sentence)
        figures = await summarise_run(orchestrator.stores.pool, ended.workflow_id, top=NAMES)
        names = f": {', '.join(name for name, _, _ in figures.top)} …" if figures.top else ""
        _print_fact("Entities", f"{figures.identities} in {figures.mentions} mentions{names}")
        _print_fact("Outputs", f"{figures.chunks} chunks with embeddings, {figures.edges} edges in the graph")
        failures = await orchestrator.failures(ended.workflow_id)
    except DependencyUnavailable as error:
        _print_fact("Outputs", f"cannot be shown now: {error}")
    _print_fact("Quality", f"{ended.quality_score:.2f} of 1, the mean of the quality scores of the documents")
    mark = ended.latest_checkpoint
    _print_fact("Checkpoints", f"{mark.sequence}, the last one {mark.checkpoint_id}" if mark else "none")
    _print_failures(failures, ended.workflow_id)
    _print_where_to_look(orchestrator.settings, ended)


def describe_changes(changes: Changes) -> str:
    """Return the changes that a later start of a run discovered; empty for the first start."""
    counts = {
        "unchanged": changes.unchanged,
        "new": changes.added,
        "changed": changes.changed,
        "processed by another version before": changes.outdated,
        "tried again": changes.retried,
        "gone": changes.removed,
    }
    if not sum(counts.values()) - changes.added:
        return ""
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count or name == "unchanged")


def _print_failures(failures: Sequence[Failure], workflow_id: str) -> None:
    if not failures:
        return
    answers.print("\nQuarantined:")
    for failure in failures[:FAILURES_AT_MOST]:
        print_line(f"  {failure.uri}\n    {failure.reason}")
    if len(failures) > FAILURES_AT_MOST:
        print_line(f"  and {len(failures) - FAILURES_AT_MOST} more")
    for name in ("failures", "retry-failed"):
        print_line(f"  {command_line(name, '--workflow-id', workflow_id)}")


def _print_where_to_look(settings: Settings, ended: RunReport) -> None:
    answers.print("\nWhere to look:")
    if ended.web_ui:
        _print_fact("Web UI", ended.web_ui)
    query = f'WorkflowType="{WORKFLOW_TYPE}" AND {PIPELINE_STATUS.name}="{ended.workflow_status}"'
    if alike := ui_list_link(settings, query):
        _print_fact("Same status", alike)
    quoted = ended.workflow_id.replace("'", "''")
    _print_fact("SQL", f"{_psql(settings)} -c {_quoted_for_shell(CHECKPOINTS_SQL.format(quoted))}")
    if settings.checkpoint_dir:
        _print_fact("File", str(PersistentCheckpointStore(settings.checkpoint_dir).path_of(ended.workflow_id)))


def _psql(settings: Settings) -> str:
    """Return the command line of an installed psql, for the run's database."""
    bundled = installation() / "bin" / "psql"
    current = Path.cwd()
    program = bundled.relative_to(current) if bundled.is_relative_to(current) else bundled
    return shlex.join(["psql" if shutil.which("psql") else str(program), settings.database_url])


def _quoted_for_shell(text: str) -> str:
    """Return the text in double quotes if these are safe, because SQL has its own single quotes."""
    return shlex.quote(text) if set(text) & set('"$`!\\') else f'"{text}"'


def _print_fact(name: str, text: str) -> None:
    print_line(f"  {name + ':':<13}{text}")
