"""`report`: write one HTML page about a run."""

from pathlib import Path
from typing import Annotated

import typer
from temporalio.service import RPCError

from commands.chosen_run import named_or_latest, run_command, say_which
from commands.export_target import make_export_folder
from commands.options import AsJson, RunToRead
from commands.output import print_json, say
from commands.report_file import check_target, standard_path, write_page, write_to_stdout
from orchestration.client.interruptions import Interrupted, read_interruptions
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.workflow_ids import checked_workflow_id
from orchestration.embedded.configured import read_database_url
from orchestration.queries.opened import choose_run
from orchestration.settings import data_dir_from
from perdure.errors import EmbeddedServersNotRunning, RefusedCommand, ServerUnreachable, UnknownWorkflow
from perdure.report.data import RunReportData
from perdure.report.page import render
from perdure.stores.postgres.connection import PostgresPool, check_connection
from perdure.stores.postgres.report import read_report
from perdure.stores.postgres.search import PostgresPassageStore

app = typer.Typer()

STDOUT = "-"


@app.command()
def report(
    *,
    workflow_id: RunToRead = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file; - is stdout. The default is ID_report.html in exports/ of the data folder.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file even if it is no report.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write one HTML page about a run; the page needs no other file.

    The run may be finished or in progress, and Temporal may be unavailable. The command replaces an earlier report of
    the same name.
    """

    async def main() -> None:
        if workflow_id is not None:
            checked_workflow_id(workflow_id)
        if output == STDOUT and as_json:
            raise RefusedCommand("Stdout cannot take both the page and the JSON value. Name a file with --output.")
        if output not in (None, STDOUT):
            check_target(Path(output), force=force)
        run, interrupted = await _ask_temporal(workflow_id)
        run, data = await _read(run, interrupted)
        page = render(data)
        if output == STDOUT:
            write_to_stdout(page)
            return
        path = Path(output) if output else make_export_folder(data_dir_from()) / standard_path(run)
        write_page(path, page, force=force)
        if as_json:
            print_json(
                {
                    "workflow_id": run,
                    "workflow_status": data.status,
                    "file": str(path.absolute()),
                    "bytes": len(page.encode()),
                }
            )
        else:
            say(f"The report is in {path}")

    run_command(main)


async def _read(workflow_id: str | None, interrupted: Interrupted | None) -> tuple[str, RunReportData]:
    """Return the run, by default the latest one in Postgres, and the data of its report."""
    database_url = read_database_url()
    await check_connection(database_url)
    pool = PostgresPool(database_url)
    try:
        run = workflow_id or await choose_run(PostgresPassageStore(pool), None)
        if workflow_id is None:
            say_which(run)
        data = await read_report(pool, run)
    finally:
        await pool.close()
    if data is None:
        raise UnknownWorkflow(f"No run with the workflow id '{run}' is known to Postgres.")
    return run, data.with_history(interrupted.found, interrupted.since) if interrupted else data


async def _ask_temporal(workflow_id: str | None) -> tuple[str | None, Interrupted | None]:
    """Return the run and its interruptions, from Temporal.

    The interruptions are None without Temporal. The run is None if also no workflow id was given.
    """
    try:
        async with PipelineOrchestrator(own_worker=False) as reader:
            run = await named_or_latest(reader, workflow_id)
            await reader.status(run)  # records the end of a run that could not record its own end
            return run, await read_interruptions(reader.client, run)
    except (EmbeddedServersNotRunning, ServerUnreachable, RPCError) as error:
        say(f"The report is made from Postgres alone: {error}")
        return workflow_id, None
