"""What people are shown when a run has ended: what came of it, what failed and why, and where to look."""

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from commands.output import COMPLETED, answers, command, readable
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.run_status import RunReport
from orchestration.embedded.postgres import installation
from orchestration.settings import Settings
from perdure.errors import DependencyUnavailable
from perdure.manifest import Changes, Failure
from perdure.stores.files.json_file import PersistentCheckpointStore
from perdure.stores.postgres.summary import run_summary

FAILURES_AT_MOST = 10
NAMES = 5
CHECKPOINTS_SQL = (
    "SELECT sequence, timestamp, workflow_status, processed_documents, services "
    "FROM checkpoint_history WHERE workflow_id = '{}' ORDER BY sequence"
)
"""For people to paste."""


async def print_summary(orchestrator: PipelineOrchestrator, ended: RunReport, *, seconds: float) -> None:
    """Print it to stdout; what Postgres cannot tell just now is left out."""
    colour = "green" if ended.workflow_status == COMPLETED else "yellow"
    answers.print()
    answers.print(f"[bold {colour}]{readable(ended.workflow_status)}[/] in {seconds:.1f} s", soft_wrap=True)
    counts = ended.documents
    left = f", {counts.remaining} not processed" if counts.remaining else ""
    _line("Documents", f"{counts.processed} processed, {counts.quarantined} quarantined{left}, of {counts.total}")
    try:
        if (changes := await orchestrator.stores.manifest.changes(ended.workflow_id)) and (said := since(changes)):
            _line("Changes", said)
        found = await run_summary(orchestrator.stores.pool, ended.workflow_id, top=NAMES)
        names = f": {', '.join(name for name, _, _ in found.top)} …" if found.top else ""
        _line("Entities", f"{found.identities} in {found.mentions} mentions{names}")
        _line("Outputs", f"{found.chunks} chunks with embeddings, {found.edges} edges in the graph")
        failures = await orchestrator.failures(ended.workflow_id)
    except DependencyUnavailable as error:
        _line("Outputs", f"cannot be shown now: {error}")
        failures = []
    _line("Quality", f"{ended.quality_score:.2f}")
    mark = ended.latest_checkpoint
    _line("Checkpoints", f"{mark.sequence}, the last one {mark.checkpoint_id}" if mark else "none")
    _print_failures(failures, ended.workflow_id)
    _print_where_to_look(orchestrator.settings, ended)


def since(changes: Changes) -> str:
    """What a run that was started again found; nothing for one that was started once."""
    counts = {
        "unchanged": changes.unchanged,
        "new": changes.added,
        "changed": changes.changed,
        "processed by other code": changes.outdated,
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
        answers.print(f"  {failure.uri}\n    {failure.reason}", markup=False, soft_wrap=True)
    if len(failures) > FAILURES_AT_MOST:
        answers.print(f"  and {len(failures) - FAILURES_AT_MOST} more", markup=False)
    for what in ("failures", "retry-failed"):
        answers.print(f"  {command('starter.py', what, '--workflow-id', workflow_id)}", markup=False, soft_wrap=True)


def _print_where_to_look(settings: Settings, ended: RunReport) -> None:
    answers.print("\nWhere to look:")
    if ended.web_ui:
        _line("Web UI", ended.web_ui)
    quoted = ended.workflow_id.replace("'", "''")
    _line("SQL", f"{_psql(settings)} -c {_shell_quoted(CHECKPOINTS_SQL.format(quoted))}")
    if settings.checkpoint_dir:
        _line("File", str(PersistentCheckpointStore(settings.checkpoint_dir).path_of(ended.workflow_id)))


def _psql(settings: Settings) -> str:
    """A psql that is there, pointed at the run's database."""
    here = Path.cwd()
    bundled = installation() / "bin" / "psql"
    program = bundled.relative_to(here) if bundled.is_relative_to(here) else bundled
    return shlex.join(["psql" if shutil.which("psql") else str(program), settings.database_url])


def _shell_quoted(text: str) -> str:
    """In double quotes if that is safe: SQL is easier to read so."""
    return shlex.quote(text) if set(text) & set('"$`!\\') else f'"{text}"'


def _line(name: str, text: str) -> None:
    answers.print(f"  {name + ':':<13}{text}", markup=False, soft_wrap=True)
