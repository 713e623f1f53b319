"""`worker`: run one worker until SIGTERM or Ctrl-C."""

from typing import Annotated

import typer

from orchestration.program.launch import main

app = typer.Typer()


@app.command()
def worker(
    *,
    supervise: Annotated[
        bool, typer.Option("--supervise", help="Start a new worker whenever the worker dies.")
    ] = False,
    exit_with_parent: Annotated[
        int | None,
        typer.Option("--exit-with-parent", metavar="PID", help="Stop when the parent process, PID, has ended."),
    ] = None,
) -> None:
    """Run one worker until SIGTERM or Ctrl-C.

    The worker polls the Temporal server that the environment names, by default the embedded server of this data folder.
    """
    options = ["--supervise"] if supervise else []
    if exit_with_parent is not None:
        options += ["--exit-with-parent", str(exit_with_parent)]
    main(options)
