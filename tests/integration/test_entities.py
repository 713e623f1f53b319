"""Entities are ranked, found by any spelling, and shown with the places that mention them."""

from pathlib import Path

from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from perdure.services.analytics import AnalyticsService
from perdure.stores.postgres.analytics import PostgresAnalyticsStore
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.identities import PostgresIdentityStore
from tests.integration.committed_run import committed, document
from tests.integration.shared_run import script

RENYI = ("person", "Alfréd Rényi")
ERDOS = ("person", "Pál Erdős")
SOS = ("person", "Vera Sós")


async def test_entity_commands_need_only_the_database(database_url: str, tmp_path: Path) -> None:
    settings = Settings(tmp_path, database_url, TemporalSettings("127.0.0.1:1"))
    assert (await script(settings, "entities")).code == 2
    pool = PostgresPool(database_url)
    epoch = await committed(pool, "run", [document([ERDOS, RENYI]), document([ERDOS, SOS]), document([ERDOS, RENYI])])
    await PostgresIdentityStore(pool).resolve("run", epoch)
    await AnalyticsService(PostgresAnalyticsStore(pool)).build("run", epoch)
    await pool.close()

    ranked = (await script(settings, "entities", "--json")).json["entities"]
    assert [entity["name"] for entity in ranked] == ["Pál Erdős", "Alfréd Rényi", "Vera Sós"]
    assert [(entity["mentions"], entity["documents"], entity["community"]) for entity in ranked] == [
        (3, 3, 0),
        (2, 2, 0),
        (1, 1, 0),
    ]

    entity = (await script(settings, "entity", "pal ERDOS", "--workflow-id", "run", "--json")).json
    assert entity["name"] == "Pál Erdős"
    assert [(other["name"], other["weight"]) for other in entity["related"]] == [("Alfréd Rényi", 2), ("Vera Sós", 1)]
    assert [place["document"] for place in entity["mentioned"]] == ["0", "1", "2"]
    assert {place["snippet"][place["start"] : place["end"]] for place in entity["mentioned"]} == {"Pál Erdős"}
    assert "Pál Erdős" in (await script(settings, "entity", "Pál Erdős")).stdout

    misspelt = await script(settings, "entity", "Alfred Reny")
    assert (misspelt.code, misspelt.stdout) == (2, "")
    assert "Did you mean 'Alfréd Rényi'?" in misspelt.stderr
    for nonsense in (["entity", " "], ["entities", "--kind", "ghost"]):
        refused = await script(settings, *nonsense)
        assert (refused.code, refused.stdout) == (2, "")
        assert "Traceback" not in refused.stderr
