"""The options that several commands take, each defined once."""

from typing import Annotated

import typer

from perdure.documents.discovery import normalise_source
from perdure.documents.sources.patterns import Patterns, with_patterns
from workflows.messages import MAX_BATCH_SIZE, MAX_CONCURRENCY

WorkflowId = Annotated[str, typer.Option("--workflow-id", "-w", metavar="ID", help="The run.")]
RunToRead = Annotated[
    str | None, typer.Option("--workflow-id", "-w", metavar="ID", help="The run; by default the latest run.")
]
NewWorkflowId = Annotated[
    str | None,
    typer.Option(
        "--workflow-id",
        "-w",
        metavar="ID",
        help="Name of the run; by default a generated name. An ended run of this name is brought up to date.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value to stdout.")]
Concurrency = Annotated[
    int, typer.Option("--concurrency", "-c", min=1, max=MAX_CONCURRENCY, help="Batches in flight at once.")
]
BatchSize = Annotated[
    int,
    typer.Option(min=0, max=MAX_BATCH_SIZE, help="Documents in a batch; 0 adapts this to the size of the run."),
]
Breaker = Annotated[
    float,
    typer.Option(
        "--breaker",
        min=0,
        metavar="SECONDS",
        help="Pause the run while a service has been unhealthy for this time; 0 never pauses the run.",
    ),
]
Sources = Annotated[
    list[str] | None,
    typer.Argument(metavar="SOURCES...", help="Files, folders, manifest:FILE, https:// and s3:// addresses."),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include",
        metavar="GLOB",
        help="Take only documents whose path, or a part of the path, matches.",
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option("--ignore", metavar="GLOB", help="Take no document whose path, or a part of the path, matches."),
]
Watch = Annotated[bool, typer.Option("--watch/--detach", help="Follow the run to its end, or leave it running.")]
Open = Annotated[bool, typer.Option("--open", help="Let the run take further documents with `add` until `close`.")]


def chosen(sources: list[str] | None, include: list[str] | None, ignore: list[str] | None) -> list[str]:
    """Return the sources, each with the patterns of `--include` and `--ignore`.

    Raises:
        InvalidSource: a source or a pattern cannot be used.
    """
    patterns = Patterns(tuple(include or ()), tuple(ignore or ()))
    if not patterns:
        return sources or []
    return [with_patterns(normalise_source(source), patterns) for source in sources or []]
