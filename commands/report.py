"""`report`: one HTML page about a run, to look at or to send."""

import os
from pathlib import Path
from typing import Annotated

import typer
from temporalio.service import RPCError

from commands.options import AsJson, WorkflowId
from commands.output import print_json, say
from commands.report_file import check_target, standard_path, write_page, write_to_stdout
from orchestration.client.interruptions import Interrupted, read_interruptions
from orchestration.client.run_reader import RunReader
from orchestration.client.workflow_ids import checked_workflow_id
from orchestration.embedded.record import running_postgres
from orchestration.process_exit import run_main
from orchestration.settings import data_dir_from
from perdure.errors import EmbeddedServersNotRunning, RefusedCommand, ServerUnreachable, UnknownWorkflow
from perdure.report.data import RunReportData
from perdure.report.page import render
from perdure.stores.postgres.connection import PostgresPool, check_connection
from perdure.stores.postgres.report import read_report

app = typer.Typer()

STDOUT = "-"


@app.command()
def report(
    *,
    workflow_id: WorkflowId,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; - is stdout. By default ID_report.html here."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is no report as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write one HTML page about a run that needs nothing besides itself: to look at, to print, to send.

    Works on finished runs and on those that go on, with or without Temporal. An earlier report of that name is
    replaced.
    """

    async def main() -> None:
        checked_workflow_id(workflow_id)
        if output == STDOUT and as_json:
            raise RefusedCommand("Stdout takes the page or the JSON value, not both: name a file with --output.")
        path = Path(output) if output else standard_path(workflow_id)
        if output != STDOUT:
            check_target(path, force=force)
        data = await _read(workflow_id)
        page = render(data)
        if output == STDOUT:
            write_to_stdout(page)
            return
        write_page(path, page, force=force)
        if as_json:
            print_json(
                {
                    "workflow_id": workflow_id,
                    "workflow_status": data.status,
                    "file": str(path.absolute()),
                    "bytes": len(page.encode()),
                }
            )
        else:
            say(f"The report is in {path}")

    run_main(main)


async def _read(workflow_id: str) -> RunReportData:
    interrupted = await _ask_temporal(workflow_id)
    database_url = os.environ.get("DATABASE_URL") or running_postgres(data_dir_from()).dsn
    await check_connection(database_url)
    pool = PostgresPool(database_url)
    try:
        data = await read_report(pool, workflow_id)
    finally:
        await pool.close()
    if data is None:
        raise UnknownWorkflow(f"No run with the workflow id '{workflow_id}' is known to Postgres.")
    return data.with_history(interrupted.found, interrupted.since) if interrupted else data


async def _ask_temporal(workflow_id: str) -> Interrupted | None:
    """None if it does not answer: the page is made from Postgres then, and says so."""
    try:
        async with RunReader() as reader:
            await reader.status(workflow_id)  # has the end of a run recorded that could not do it itself
            return await read_interruptions(reader.client, workflow_id)
    except (EmbeddedServersNotRunning, ServerUnreachable, RPCError) as error:
        say(f"The report is made from Postgres alone: {error}")
        return None
