"""Identity resolution of a run, with a real Postgres and a real resolver process."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from perdure.documents.document import ProcessedDocument
from perdure.errors import DependencyUnavailable
from perdure.sandbox.computation.parent import Subprocess
from perdure.services.identity import IdentityService
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.identities import IDENTITIES_SQL, RESOLVER, PostgresIdentityStore
from perdure.stores.postgres.manifest import PostgresManifestStore
from tests.identities.generated import GeneratedRun
from tests.identities.word_lists import OPEN
from tests.integration.committed_run import committed, document

TABLES = ("identities", "identity_members", "identity_aliases", "resolutions")
PEOPLE = [("person", "John Smith"), ("person", "Jane Smith"), ("person", "Ada Lovelace"), ("person", "A. Lovelace")]
_SLOW_NAMES = replace(
    IDENTITIES_SQL["list_names_of_kind"],
    template=IDENTITIES_SQL["list_names_of_kind"].template.replace("run_names", "run_names, pg_sleep(3600)"),
)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[PostgresPool]:
    opened = PostgresPool(database_url)
    yield opened
    await opened.close()


def service(pool: PostgresPool) -> IdentityService:
    return IdentityService(PostgresIdentityStore(pool))


async def stored(pool: PostgresPool, workflow_id: str = "run") -> list[list[Any]]:
    async with pool.connection() as conn:
        return [
            sorted(
                str([value for column, value in row.items() if column not in ("workflow_id", "epoch")])
                for row in await conn.fetch(f"SELECT * FROM {table} WHERE workflow_id = $1", workflow_id)
            )
            for table in TABLES
        ]


def resolvers() -> list[psutil.Process]:
    return [
        process for process in psutil.process_iter(["cmdline"]) if f"perdure.services.identity.child {os.getpid()}" in
        " ".join(process.info["cmdline"] or [])
    ]  # fmt: skip


def generated(seed: int) -> list[ProcessedDocument]:
    mentions: dict[int, list[tuple[str, str]]] = {}
    for mention in GeneratedRun(seed, OPEN, 400, typing_errors=0.1):
        mentions.setdefault(mention.position, []).append((mention.kind, mention.surface))
    return [document(found) for found in mentions.values()]


async def test_identities_do_not_depend_on_the_order_of_commits(pool: PostgresPool) -> None:
    seed = int(os.environ.get("PERDURE_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"PERDURE_TEST_SEED={seed}")
    documents = generated(seed)
    order = random.Random(seed).sample(range(len(documents)), len(documents))
    for workflow_id, finished in (("one", None), ("other", order)):
        await service(pool).resolve(workflow_id, await committed(pool, workflow_id, documents, finished))
    one = await stored(pool, "one")
    other = await stored(pool, "other")
    assert one == other
    assert len(one[1]) > len(one[0]) > 0, "several names led to one identity"


async def test_every_mention_belongs_to_one_identity_that_counts_it(pool: PostgresPool) -> None:
    await service(pool).resolve("run", await committed(pool, "run", generated(1)))
    async with pool.connection() as conn:
        counted = await conn.fetch(
            """SELECT i.mention_count, i.document_count, count(*) AS mentions, count(DISTINCT m.position) AS documents,
                      (SELECT sum(mention_count) FROM identity_aliases a
                       WHERE a.workflow_id = i.workflow_id AND a.identity_id = i.identity_id) AS spelt
               FROM mentions m LEFT JOIN identity_members n USING (workflow_id, kind, normalised)
               LEFT JOIN identities i USING (workflow_id, identity_id) GROUP BY i.workflow_id, i.identity_id"""
        )
        assert await conn.fetchval("SELECT count(*) FROM identities") == len(counted)
    assert all(row["mention_count"] == row["mentions"] == row["spelt"] for row in counted)
    assert all(row["document_count"] == row["documents"] for row in counted)


async def test_identity_has_its_spellings_with_rule_and_score(pool: PostgresPool) -> None:
    epoch = await committed(pool, "run", [document([*PEOPLE, ("person", "Ada Lovelace"), ("person", "Lovelace")])])
    await service(pool).resolve("run", epoch)
    async with pool.connection() as conn:
        await conn.execute("SET ROLE perdure_inspector")
        row = await conn.fetchrow("SELECT * FROM identities_with_aliases WHERE name = 'Ada Lovelace'")
        positions = await conn.fetch("SELECT DISTINCT uri, surface FROM identity_mentions WHERE name = 'Ada Lovelace'")
        await conn.execute("RESET ROLE")
    assert row
    assert row["confidence"] == round((2 * 1.0 + 0.9 + 0.85) / 4, 3)
    assert row["aliases"] == [
        {"surface": "Ada Lovelace", "mentions": 2, "rule": "same_name", "score": 1.0},
        {"surface": "A. Lovelace", "mentions": 1, "rule": "initials", "score": 0.9},
        {"surface": "Lovelace", "mentions": 1, "rule": "last_name", "score": 0.85},
    ]
    assert len(positions) == 3


async def test_ambiguous_mention_is_not_counted_as_resolved(pool: PostgresPool) -> None:
    epoch = await committed(pool, "run", [document(PEOPLE), document([("person", "Smith")])])
    assert (await service(pool).resolve("run", epoch)).resolution_rate == 0.8
    assert (await service(pool).health("run"))["resolution_rate"] == 0.8


async def test_last_name_resolves_to_the_full_name_in_its_document(pool: PostgresPool) -> None:
    smith = ("person", "Smith")
    epoch = await committed(pool, "run", [document([PEOPLE[0], smith]), document([PEOPLE[1]])])
    await service(pool).resolve("run", epoch)
    async with pool.connection() as conn:
        found = await conn.fetchrow(
            """SELECT i.normalised, m.rule FROM identity_members m JOIN identities i USING (workflow_id, identity_id)
               WHERE m.normalised = 'smith'"""
        )
    assert tuple(found or ()) == ("john smith", "same_documents")


async def test_names_of_kinds_without_spelling_variants_never_merge(pool: PostgresPool) -> None:
    kinds = ("date", "money", "email", "identifier")
    near = [(kind, name) for kind in kinds for name in ("anders", "andersen", "anderson", "anderson", "anderson")]
    await service(pool).resolve("run", await committed(pool, "run", [document(near)]))
    async with pool.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM identities") == 3 * len(kinds)


async def test_another_epoch_makes_the_same_identities_again(pool: PostgresPool) -> None:
    epoch = await committed(pool, "run", [document(PEOPLE)])
    await service(pool).resolve("run", epoch)
    first = await stored(pool)
    await service(pool).resolve("run", await PostgresManifestStore(pool).claim("run", "second", at_least=1))
    assert await stored(pool) == first


async def test_worker_killed_during_resolution_leaves_no_rows(pool: PostgresPool, database_url: str) -> None:
    epoch = await committed(pool, "run", [document(PEOPLE)])
    program = f"""
import asyncio
from perdure.stores.postgres import identities
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.statements import Statement
identities.IDENTITIES_SQL["list_names_of_kind"] = {_SLOW_NAMES!r}
asyncio.run(identities.PostgresIdentityStore(PostgresPool({database_url!r})).resolve("run", {epoch}))
"""
    worker = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2])
    try:
        await _until_it_sleeps(pool)
        (child,) = psutil.Process(worker.pid).children()
        assert "perdure.services.identity.child" in child.cmdline()
    finally:
        worker.kill()
        worker.wait()
    assert await stored(pool) == [[], [], [], []]
    # The query of the killed worker lasts an hour, and this call does not wait for its end.
    assert (await service(pool).resolve("run", epoch)).identities == 3
    psutil.wait_procs([child], timeout=240)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


async def test_cancelled_resolution_leaves_no_rows_and_no_process(
    pool: PostgresPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    epoch = await committed(pool, "run", [document(PEOPLE)])
    with monkeypatch.context() as patch:
        patch.setitem(IDENTITIES_SQL, "list_names_of_kind", _SLOW_NAMES)
        task = asyncio.create_task(service(pool).resolve("run", epoch))
        await _until_it_sleeps(pool)
        assert len(resolvers()) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert resolvers() == []
    assert await stored(pool) == [[], [], [], []]
    assert (await service(pool).resolve("run", epoch)).identities == 3


async def test_killed_resolver_is_an_unavailable_dependency(
    pool: PostgresPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    epoch = await committed(pool, "run", [document(PEOPLE)])
    receive = Subprocess.receive

    async def killed(self: Subprocess) -> Any:
        self._process.kill()
        return await receive(self)

    with monkeypatch.context() as patch:
        patch.setattr(Subprocess, "receive", killed)
        with pytest.raises(DependencyUnavailable, match="SIGKILL"):
            await service(pool).resolve("run", epoch)
    assert await stored(pool) == [[], [], [], []]
    assert (await service(pool).resolve("run", epoch)).identities == 3


async def test_failed_resolver_reports_its_error() -> None:
    async with Subprocess(*RESOLVER) as resolver:
        await resolver.send("no such kind")
        await resolver.send([])
        with pytest.raises(DependencyUnavailable, match=r"exit code \d+, saying: KeyError: 'no such kind'"):
            await resolver.receive()


async def test_resolver_ignores_sigint(pool: PostgresPool) -> None:
    epoch = await committed(pool, "run", [document(PEOPLE)])
    async with Subprocess(*RESOLVER) as resolver:
        await resolver.send("person")
        await resolver.send([])
        assert await resolver.receive() == []
        os.kill(resolver._process.pid, signal.SIGINT)
        await resolver.send([])
        assert await resolver.receive() == []
    assert (await service(pool).resolve("run", epoch)).identities == 3


async def _until_it_sleeps(pool: PostgresPool) -> None:
    async with pool.connection() as conn, asyncio.timeout(240):
        while not await conn.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        ):
            await asyncio.sleep(0.05)
