"""`export`: write a run's graph or tables to files that other tools read."""

from pathlib import Path
from typing import Annotated

import typer

from commands.chosen_run import run_command, say_which
from commands.export_target import check_target, make_export_folder, staged, standard_path
from commands.options import AsJson, RunToRead
from commands.output import print_json, say
from commands.progress import RowDisplay
from orchestration.queries.export import export_run
from orchestration.queries.opened import open_queries
from orchestration.settings import data_dir_from
from perdure.services.analytics.export import ExportFormat

app = typer.Typer()


@app.command()
def export(
    *,
    form: Annotated[
        ExportFormat,
        typer.Option("--format", "-f", help="The graph as graphml or json, or all tables as parquet or csv."),
    ],
    workflow_id: RunToRead = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A new file, or a new folder for tables. The default is in exports/ of the data folder.",
        ),
    ] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--kind", "-k", help="Only entities of this kind, such as person; repeat the option for several kinds."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a run's results to files: the graph, or all tables.

    The tables are documents, mentions, identities, edges and chunks. With --kind the graph, the mentions and the
    identities hold entities of that kind only. Equal results give equal bytes. An interrupted export leaves an earlier
    export unchanged.
    """

    async def main() -> None:
        if output:
            check_target(output, form, force=force)
        async with open_queries() as queries:
            run = await queries.choose_run(workflow_id)
            if workflow_id is None:
                say_which(run)
            path = output or make_export_folder(data_dir_from()) / standard_path(run, form)
            with staged(path, form, force=force) as unfinished, RowDisplay() as display:
                rows = await export_run(queries.exports, run, form, unfinished, display.show, kinds or [])
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        if as_json:
            size = sum(file.stat().st_size for file in files)
            print_json({"workflow_id": run, "format": form, "path": str(path.absolute()), "rows": rows, "bytes": size})
        else:
            counts = ", ".join(f"{number} {table}" for table, number in rows.items())
            say(f"The run '{run}' is in {path}: {counts}.")

    run_command(main)
