"""`search`: find passages in the documents of a run."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from commands.chosen_run import run_command, say_which
from commands.options import AsJson, RunToRead
from commands.output import answers, print_json, say
from orchestration.queries.opened import open_queries
from orchestration.queries.search import search_passages
from perdure.services.search import Hit

MAX_RESULTS = 100
DEFAULT_RESULTS = 10

app = typer.Typer()


@app.command()
def search(
    *,
    query: Annotated[str, typer.Argument(help='Words, "a phrase", -without, or a question.', show_default=False)],
    workflow_id: RunToRead = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MAX_RESULTS, help="The most passages to list.")] = (
        DEFAULT_RESULTS
    ),
    as_json: AsJson = False,
) -> None:
    """Find passages by their words and by their meaning, with document and page."""

    async def main() -> None:
        async with open_queries() as queries:
            run = await queries.choose_run(workflow_id)
            hits = await search_passages(queries, run, query, limit)
        if workflow_id is None:
            say_which(run)
        if as_json:
            print_json({"workflow_id": run, "query": query, "results": [asdict(hit) for hit in hits]})
            return
        if not hits:
            say("Nothing was found.")
        for number, hit in enumerate(hits, start=1):
            _print(number, hit)

    run_command(main)


def _print(number: int, hit: Hit) -> None:
    page = f", page {hit.page}" if hit.page else ""
    answers.print(Text(f"{number:>2}  {hit.document}{page}, at {hit.offset}", style="bold"), soft_wrap=True)
    snippet = Text(hit.snippet)
    for start, end in hit.highlights:
        snippet.stylize("reverse", start, end)
    answers.print(Text("    ") + snippet, soft_wrap=True)
