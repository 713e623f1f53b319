"""The options that several commands take, each defined once."""

from typing import Annotated

import typer

from workflows.messages import MAX_BATCH_SIZE, MAX_CONCURRENCY

WorkflowId = Annotated[str, typer.Option("--workflow-id", "-w", metavar="ID", help="Which run.")]
NewWorkflowId = Annotated[
    str | None,
    typer.Option(
        "--workflow-id",
        "-w",
        metavar="ID",
        help="Name of the run, generated if not given. An earlier run of that name is continued, not repeated.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value to stdout.")]
Concurrency = Annotated[
    int, typer.Option("--concurrency", "-c", min=1, max=MAX_CONCURRENCY, help="Batches in flight at once.")
]
BatchSize = Annotated[
    int, typer.Option(min=0, max=MAX_BATCH_SIZE, help="Documents a batch; 0 chooses by the size of the run.")
]
Breaker = Annotated[
    float,
    typer.Option(
        "--breaker",
        min=0,
        metavar="SECONDS",
        help="Pause by itself while a service has been unhealthy for so long; 0 never does.",
    ),
]
Sources = Annotated[
    list[str] | None, typer.Argument(metavar="SOURCES...", help="Files and folders, as paths or file:// URIs.")
]
Watch = Annotated[bool, typer.Option("--watch/--detach", help="Follow the run to its end, or leave it running.")]
Open = Annotated[bool, typer.Option("--open", help="Take further documents with `add` until `close`.")]
