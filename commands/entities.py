"""`entities` and `entity`: the people, places and organisations that a run's documents name."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from commands.chosen_run import run_command, say_which
from commands.options import AsJson, RunToRead
from commands.output import answers, print_json, print_table, say
from orchestration.queries.entities import find_entities, rank_entities
from orchestration.queries.opened import open_queries
from perdure.services.analytics.entities import CitedMention, Entity

MAX_ENTITIES = 10_000
MAX_ROWS = 1_000

app = typer.Typer()


@app.command()
def entities(
    *,
    workflow_id: RunToRead = None,
    kind: Annotated[str | None, typer.Option("--kind", "-k", help="Only this kind, such as person.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=MAX_ENTITIES, help="The most entities to list.")
    ] = 20,
    as_json: AsJson = False,
) -> None:
    """List the entities of a run by PageRank."""

    async def main() -> None:
        async with open_queries() as queries:
            run = await queries.choose_run(workflow_id)
            ranked = await rank_entities(queries, run, kind, limit)
        if workflow_id is None:
            say_which(run)
        if as_json:
            print_json({"workflow_id": run, "entities": [asdict(entity) for entity in ranked]})
        elif ranked:
            columns = ("PAGERANK", "KIND", "NAME", "MENTIONS", "DOCUMENTS", "CONFIDENCE", "COMMUNITY")
            right = ("PAGERANK", "MENTIONS", "DOCUMENTS", "CONFIDENCE", "COMMUNITY")
            print_table(columns, [_row(entity) for entity in ranked], right=right)
        else:
            say(f"The run '{run}' has no entities yet.")

    run_command(main)


@app.command()
def entity(
    *,
    name: Annotated[str, typer.Argument(help="A name or another spelling of it.", show_default=False)],
    workflow_id: RunToRead = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MAX_ROWS, help="The most rows of each list.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show one entity with its spellings, related entities, and the places that mention it."""

    async def main() -> None:
        async with open_queries() as queries:
            run = await queries.choose_run(workflow_id)
            first, *others = await find_entities(queries, run, name)
            aliases = await queries.entities.aliases(run, first.identity_id, limit)
            related = await queries.entities.related(run, first.identity_id, limit)
            places = await queries.entities.mentioned(run, first.identity_id, limit)
        if workflow_id is None:
            say_which(run)
        if as_json:
            print_json(
                {
                    "workflow_id": run,
                    **asdict(first),
                    "aliases": [asdict(alias) for alias in aliases],
                    "related": [asdict(relation) for relation in related],
                    "mentioned": [asdict(place) for place in places],
                    "others_of_this_name": [asdict(other) for other in others],
                }
            )
            return
        answers.print(Text(f"{first.name}, {first.kind}", style="bold"), soft_wrap=True)
        answers.print(
            f"{first.mentions} mentions in {first.documents} documents, confidence {first.confidence:.2f}",
            soft_wrap=True,
        )
        print_table(
            ("SPELLING", "MENTIONS", "RULE", "SCORE"),
            [(alias.surface, alias.mentions, alias.rule, alias.score) for alias in aliases],
        )
        print_table(
            ("RELATED", "KIND", "DOCUMENTS"),
            [(relation.name, relation.kind, relation.weight) for relation in related],
        )
        for place in places:
            _print(place)
        if others:
            say(f"Other entities of this name: {', '.join(f'{other.name} ({other.kind})' for other in others)}.")

    run_command(main)


def _row(entity: Entity) -> tuple[object, ...]:
    rank = "-" if entity.pagerank is None else f"{entity.pagerank:.6f}"
    community = "-" if entity.community is None else entity.community
    return rank, entity.kind, entity.name, entity.mentions, entity.documents, f"{entity.confidence:.2f}", community


def _print(place: CitedMention) -> None:
    page = f", page {place.page}" if place.page else ""
    answers.print(Text(f"{place.document}{page}, at {place.offset}", style="bold"), soft_wrap=True)
    snippet = Text(place.snippet)
    snippet.stylize("reverse", place.start, place.end)
    answers.print(Text("    ") + snippet, soft_wrap=True)
