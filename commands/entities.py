"""`entities` and `entity`: who and what the documents of a run name, how central, and where."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from commands.options import AsJson
from commands.output import answers, print_json, print_table, say
from orchestration.process_exit import run_main
from orchestration.queries.entities import open_entities
from perdure.services.analytics.entities import CitedMention, Entity

MAX_ENTITIES = 10_000
Run = Annotated[
    str | None, typer.Option("--workflow-id", "-w", metavar="ID", help="Which run; the latest one if not given.")
]

app = typer.Typer()


@app.command()
def entities(
    *,
    workflow_id: Run = None,
    kind: Annotated[str | None, typer.Option("--kind", "-k", help="Only this kind, such as person.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MAX_ENTITIES, help="Entities at the most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the entities of a run by PageRank."""

    async def main() -> None:
        async with open_entities() as asked:
            run = await asked.run(workflow_id)
            found = await asked.ranked(run, kind, limit)
        if as_json:
            print_json({"workflow_id": run, "entities": [asdict(one) for one in found]})
        elif found:
            columns = ("PAGERANK", "KIND", "NAME", "MENTIONS", "DOCUMENTS", "CONFIDENCE", "COMMUNITY")
            right = ("PAGERANK", "MENTIONS", "DOCUMENTS", "CONFIDENCE", "COMMUNITY")
            print_table(columns, [_row(one) for one in found], right=right)
        else:
            say(f"The run '{run}' has no entities yet.")

    run_main(main)


@app.command()
def entity(
    *,
    name: Annotated[str, typer.Argument(help="A name or another spelling of it.", show_default=False)],
    workflow_id: Run = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="Rows of each list.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show an entity: its spellings, the most related ones, and where it is mentioned."""

    async def main() -> None:
        async with open_entities() as asked:
            run = await asked.run(workflow_id)
            one, *others = await asked.named(run, name)
            aliases = await asked.store.aliases(run, one.identity_id, limit)
            related = await asked.store.related(run, one.identity_id, limit)
            places = await asked.store.mentioned(run, one.identity_id, limit)
        if as_json:
            print_json(
                {
                    "workflow_id": run,
                    **asdict(one),
                    "aliases": [asdict(alias) for alias in aliases],
                    "related": [asdict(relation) for relation in related],
                    "mentioned": [asdict(place) for place in places],
                    "others_of_this_name": [asdict(other) for other in others],
                }
            )
            return
        answers.print(Text(f"{one.name}, {one.kind}", style="bold"), soft_wrap=True)
        answers.print(
            f"{one.mentions} mentions in {one.documents} documents, confidence {one.confidence:.2f}", soft_wrap=True
        )
        print_table(
            ("SPELLING", "MENTIONS", "RULE", "SCORE"), [(a.surface, a.mentions, a.rule, a.score) for a in aliases]
        )
        print_table(("RELATED", "KIND", "DOCUMENTS"), [(r.name, r.kind, r.weight) for r in related])
        for place in places:
            _print(place)
        if others:
            say(f"Also of this name: {', '.join(f'{other.name} ({other.kind})' for other in others)}.")

    run_main(main)


def _row(one: Entity) -> tuple[object, ...]:
    rank = "-" if one.pagerank is None else f"{one.pagerank:.6f}"
    community = "-" if one.community is None else one.community
    return rank, one.kind, one.name, one.mentions, one.documents, f"{one.confidence:.2f}", community


def _print(place: CitedMention) -> None:
    page = f", page {place.page}" if place.page else ""
    answers.print(Text(f"{place.document}{page}, at {place.offset}", style="bold"), soft_wrap=True)
    snippet = Text(place.snippet)
    snippet.stylize("reverse", place.start, place.end)
    answers.print(Text("    ") + snippet, soft_wrap=True)
