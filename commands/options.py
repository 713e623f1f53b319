"""The options that several commands take, each defined once."""

from typing import Annotated

import typer

from perdure.documents.discovery import normalise_source
from perdure.documents.sources.patterns import Patterns, with_patterns
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
    list[str] | None,
    typer.Argument(metavar="SOURCES...", help="Files, folders, manifest:FILE, https:// and s3:// addresses."),
]
Include = Annotated[
    list[str] | None,
    typer.Option("--include", metavar="GLOB", help="Only documents whose name, or a part of it, matches; repeatable."),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option("--ignore", metavar="GLOB", help="No documents whose name, or a part of it, matches; repeatable."),
]
Watch = Annotated[bool, typer.Option("--watch/--detach", help="Follow the run to its end, or leave it running.")]
Open = Annotated[bool, typer.Option("--open", help="Take further documents with `add` until `close`.")]


def chosen(sources: list[str] | None, include: list[str] | None, ignore: list[str] | None) -> list[str]:
    """The sources with the patterns that `--include` and `--ignore` give to each of them.

    Raises:
        InvalidSource: a source or a pattern cannot be used.
    """
    patterns = Patterns(tuple(include or ()), tuple(ignore or ()))
    if not patterns:
        return sources or []
    return [with_patterns(normalise_source(source), patterns) for source in sources or []]
