"""`export`: a run's graph or tables as files that other tools read."""

from pathlib import Path
from typing import Annotated

import typer

from commands.export_target import check_target, staged, standard_path
from commands.options import AsJson
from commands.output import print_json, say
from commands.progress import RowDisplay
from orchestration.process_exit import run_main
from orchestration.queries.export import open_exporting
from perdure.services.analytics.export import ExportFormat

app = typer.Typer()


@app.command()
def export(
    *,
    form: Annotated[
        ExportFormat,
        typer.Option("--format", "-f", help="The graph as graphml or json, or all tables as parquet or csv."),
    ],
    workflow_id: Annotated[
        str | None,
        typer.Option("--workflow-id", "-w", metavar="ID", help="Which run; the latest one if not given."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A new file, for tables a new folder. By default named after the run.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write what a run found to files: its graph, or its documents, mentions, identities, edges and chunks.

    The same results give the same bytes. Ctrl-C leaves what was there before.
    """

    async def main() -> None:
        if output:
            check_target(output, form, force=force)
        async with open_exporting() as exporting:
            run = await exporting.run(workflow_id)
            path = output or standard_path(run, form)
            with staged(path, form, force=force) as new, RowDisplay() as display:
                rows = await exporting.write(run, form, new, display.show)
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        if as_json:
            size = sum(file.stat().st_size for file in files)
            print_json({"workflow_id": run, "format": form, "path": str(path.absolute()), "rows": rows, "bytes": size})
        else:
            counts = ", ".join(f"{number} {table}" for table, number in rows.items())
            say(f"The run '{run}' is in {path}: {counts}.")

    run_main(main)
