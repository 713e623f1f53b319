"""List the entities of a run, and find one by a name."""

from orchestration.queries.opened import Queries
from perdure.errors import RefusedCommand
from perdure.services.analytics.entities import Entity

MAX_NAMESAKES = 10


async def rank_entities(queries: Queries, run: str, kind: str | None, limit: int) -> list[Entity]:
    """Return the entities of a run, the highest PageRank first.

    Args:
        queries: the open read-only stores.
        run: workflow id.
        kind: the kind of the entities, such as `person`; None for all kinds.
        limit: largest number of entities to return.

    Raises:
        RefusedCommand: the run has no entity of that kind.
    """
    ranked = await queries.entities.ranked(run, kind, limit)
    if kind and not ranked:
        kinds = ", ".join(await queries.entities.kinds(run)) or "none at all"
        raise RefusedCommand(f"The run '{run}' has no entities of the kind {kind!r}; its kinds are: {kinds}.")
    return ranked


async def find_entities(queries: Queries, run: str, name: str) -> list[Entity]:
    """Return the entities with this name or spelling, at least one, best-ranked first.

    Raises:
        RefusedCommand: no entity has the name; the message suggests names that are spelt alike.
    """
    if "\0" in name or not name.strip():
        raise RefusedCommand("The name has no letters. Name a person, a place or an organisation.")
    if named := await queries.entities.named(run, name.strip(), MAX_NAMESAKES):
        return named
    alike = " or ".join(f"'{other}'" for other in await queries.entities.suggestions(run, name))
    suggestion = f" Did you mean {alike}?" if alike else ""
    raise RefusedCommand(f"No entity of the run '{run}' is called {name!r}.{suggestion}")
