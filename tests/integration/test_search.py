"""Search finds passages by word and by meaning, and always gives the same answer."""

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from perdure.analysis.annotations import EMBEDDING_DIMENSIONS, Chunk
from perdure.analysis.chunking import chunk
from perdure.analysis.embeddings import WordLlamaEmbedder
from perdure.documents.document import DiscoveredDocument, ProcessedDocument
from perdure.errors import RefusedCommand
from perdure.manifest import Lease
from perdure.services.search import Hit, SearchService
from perdure.stores.postgres import search, signatures
from perdure.stores.postgres.analytics import PostgresAnalyticsStore
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.identities import PostgresIdentityStore
from perdure.stores.postgres.manifest import PostgresManifestStore
from perdure.stores.postgres.search import PostgresPassageStore
from perdure.stores.postgres.signatures import likely_nearest
from tests.integration.shared_run import script

PAGES = [
    "The harbour board met on Tuesday. Clara Whitfield took the minutes of the meeting.",
    "The insurance company settled the claim for storm damage: £18,000 were paid in March.",
    "A recipe for bread: flour, water, salt and yeast, baked in a hot oven for an hour.",
]
DOCUMENTS = {
    "minutes.pdf": "\n\n".join(PAGES),
    "letter.txt": "Dear Sirs, the cheque for the damaged roof has not arrived. Yours, A. Mason",
    "hostile <b>name</b>.txt": "Only \x02control\x03 characters and <script>alert('x')</script> about zeppelins.",
}


def processed(text: str, pages: tuple[int, ...]) -> ProcessedDocument:
    chunks = tuple(Chunk(page, page + len(PAGES[number])) for number, page in enumerate(pages)) or chunk(text)
    vectors = WordLlamaEmbedder().embed([text[piece.start : piece.end] for piece in chunks])
    return ProcessedDocument("ab", 1, "text/plain", text, None, pages, {}, chunks, vectors, (), 0.9)


async def commit_all(pool: PostgresPool, workflow_id: str, order: list[str]) -> int:
    """Begin a run over the documents, commit them in this order, and return the run's epoch."""
    manifest = PostgresManifestStore(pool)
    epoch = await manifest.claim(workflow_id, "first", at_least=1)
    names = sorted(DOCUMENTS)
    page = [DiscoveredDocument(f"file:///{number}", name, "file:///", 1, "1") for number, name in enumerate(names)]
    await manifest.record(workflow_id, epoch, page)
    await manifest.enqueue_unfinished(workflow_id, epoch, quarantined=False)
    lease = Lease(epoch, 1, 1)
    await manifest.lease_batch(workflow_id, lease, 0, len(names))
    for name in order:
        text = DOCUMENTS[name]
        pages = tuple(text.index(page) for page in PAGES) if name.endswith("pdf") else ()
        await manifest.commit(workflow_id, lease, names.index(name), processed(text, pages), attempts=1)
    return epoch


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[PostgresPool]:
    pool = PostgresPool(database_url)
    yield pool
    await pool.close()


@pytest.fixture
def service(pool: PostgresPool) -> SearchService:
    return SearchService(PostgresPassageStore(pool), WordLlamaEmbedder())


async def test_word_leads_to_document_page_and_offset(pool: PostgresPool, service: SearchService) -> None:
    await commit_all(pool, "run", sorted(DOCUMENTS))
    best = (await service.search("run", "insurance claims", 10))[0]
    assert (best.document, best.page) == ("minutes.pdf", 2)
    assert DOCUMENTS["minutes.pdf"][best.offset :].startswith("The insurance company")
    marked = [best.snippet[start:end] for start, end in best.highlights]
    assert marked == ["insurance", "claim"]


async def test_passage_without_the_words_is_found_by_meaning(pool: PostgresPool, service: SearchService) -> None:
    await commit_all(pool, "run", sorted(DOCUMENTS))
    best = (await service.search("run", "baking ingredients", 1))[0]
    assert (best.document, best.page) == ("minutes.pdf", 3)


async def test_phrases_and_excluded_words_limit_the_matches(pool: PostgresPool) -> None:
    await commit_all(pool, "run", sorted(DOCUMENTS))
    store = PostgresPassageStore(pool)
    assert len(await store.by_terms("run", "damage", 10) or []) == 2
    assert len(await store.by_terms("run", '"storm damage"', 10) or []) == 1
    assert len(await store.by_terms("run", "damage -roof", 10) or []) == 1
    assert len(await store.by_terms("run", "zeppelin or yeast", 10) or []) == 2
    assert await store.by_terms("run", "bread roof", 10) == []
    assert await store.by_terms("another run", "damage", 10) == []


async def test_answer_does_not_depend_on_the_order_of_commits(pool: PostgresPool, service: SearchService) -> None:
    await commit_all(pool, "one", sorted(DOCUMENTS))
    seed = int(os.environ.get("PERDURE_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"PERDURE_TEST_SEED={seed}")
    await commit_all(pool, "two", random.Random(seed).sample(sorted(DOCUMENTS), len(DOCUMENTS)))
    for query in ("damage", "who wrote to the company", "bread"):
        assert await service.search("one", query, 10) == await service.search("two", query, 10)


async def test_control_characters_and_markup_stay_plain_text(pool: PostgresPool, service: SearchService) -> None:
    await commit_all(pool, "run", sorted(DOCUMENTS))
    best = (await service.search("run", "zeppelins", 1))[0]
    assert best.document == "hostile <b>name</b>.txt"
    assert "\x02" not in best.snippet
    assert [best.snippet[start:end] for start, end in best.highlights] == ["zeppelins"]


@pytest.mark.parametrize("query", ["", "   ", '"', "?!", "<->", "x" * 1_001, "\0"])
async def test_query_without_words_is_refused(service: SearchService, query: str) -> None:
    with pytest.raises(RefusedCommand):
        await service.search("run", query, 10)


@pytest.mark.parametrize("query", ["' OR 1=1 --", "a & | !", "(((x", "and the of", "\x02x", "🤠 roof", "''''roof"])
async def test_hostile_query_still_finds_passages(pool: PostgresPool, service: SearchService, query: str) -> None:
    await commit_all(pool, "run", sorted(DOCUMENTS))
    assert len(await service.search("run", query, 3)) == 3


async def test_large_run_is_searched_by_signatures(
    pool: PostgresPool, service: SearchService, monkeypatch: pytest.MonkeyPatch
) -> None:
    epoch = await commit_all(pool, "run", sorted(DOCUMENTS))
    exact = await search_three_times(service)
    monkeypatch.setattr(signatures, "EXACT_CHUNKS", 0)
    # Without this statement only signatures find near passages.
    monkeypatch.delitem(search._SQL, "find_nearest")
    await PostgresIdentityStore(pool).resolve("run", epoch)
    await PostgresAnalyticsStore(pool).build("run", epoch, 50)
    async with pool.connection() as conn:
        assert await conn.fetchval("SELECT length(signatures) FROM chunk_signatures") == 5 * EMBEDDING_DIMENSIONS // 8
    assert await search_three_times(service) == exact


async def test_signatures_find_the_nearest_for_any_size_of_fetch(
    pool: PostgresPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = int(os.environ.get("PERDURE_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"PERDURE_TEST_SEED={seed}")
    vectors = np.random.default_rng(seed).normal(size=(2_000, EMBEDDING_DIMENSIONS)).astype(np.float32)
    async with pool.connection() as conn:
        await conn.execute("INSERT INTO runs (workflow_id, epoch) VALUES ('run', 1)")
        for block, part in enumerate(np.split(vectors, 20)):
            places = np.array([(block, ordinal) for ordinal in range(len(part))], ">i8,>i4").tobytes()
            bits = np.packbits(part > 0, axis=1).tobytes()
            await conn.execute(
                "INSERT INTO chunk_signatures (workflow_id, block, places, signatures) VALUES ('run', $1, $2, $3)",
                block,
                places,
                bits,
            )
    query = vectors[seed % len(vectors)]
    estimates = np.where(vectors > 0, 1, -1) @ query
    best = sorted(divmod(int(number), 100) for number in np.argsort(-estimates)[:50])
    for blocks_per_fetch in (1, 7, 64):
        monkeypatch.setattr(signatures, "_BLOCKS_PER_FETCH", blocks_per_fetch)
        async with pool.transaction() as conn:
            assert sorted(await likely_nearest(conn, "run", query, 50) or []) == best
    monkeypatch.setattr(signatures, "ESTIMATED", 300)
    nearest = []
    for blocks_per_fetch in (1, 7, 64):
        monkeypatch.setattr(signatures, "_BLOCKS_PER_FETCH", blocks_per_fetch)
        async with pool.transaction() as conn:
            nearest.append(await likely_nearest(conn, "run", query, 50))
    assert nearest[0] == nearest[1] == nearest[2]
    assert divmod(seed % len(vectors), 100) in (nearest[0] or [])


async def test_frequent_words_are_ranked_among_near_passages(
    pool: PostgresPool, service: SearchService, monkeypatch: pytest.MonkeyPatch
) -> None:
    await commit_all(pool, "run", sorted(DOCUMENTS))
    store = PostgresPassageStore(pool)
    all_ranked = await store.by_terms("run", "damage", 10)
    answers = await service.search("run", "storm damage", 10)
    monkeypatch.setattr(search, "RANKED_MATCHES", 1)
    assert await store.by_terms("run", "damage", 10) is None
    assert await store.by_terms("run", "zeppelins", 10) == [(0, 0)]
    near = await store.by_nearness("run", WordLlamaEmbedder().embed(["x"])[0], 10)
    assert len(near) == 5
    assert await store.by_terms_among("run", "damage", near, 10) == all_ranked
    assert await store.by_terms_among("run", "damage", [], 10) == []
    monkeypatch.setattr(search, "RANKED_MATCHES", 0)
    assert await service.search("run", "storm damage", 10) == answers


async def search_three_times(service: SearchService) -> list[Hit]:
    return [hit for query in ("storm damage", "bread", "meeting") for hit in await service.search("run", query, 5)]


async def test_search_command_needs_only_the_database(pool: PostgresPool, database_url: str, tmp_path: Path) -> None:
    # An empty address stands for an embedded server that does not run.
    settings = Settings(tmp_path, database_url, TemporalSettings(""))
    empty = await script(settings, "search", "roof")
    assert (empty.code, empty.stdout) == (2, "")
    assert "No run has read any document yet" in empty.stderr
    await commit_all(pool, "run", sorted(DOCUMENTS))
    done = await script(settings, "search", "damaged roof", "--json", "--limit", "2")
    assert done.code == 0
    assert done.json["workflow_id"] == "run"
    first = done.json["results"][0]
    assert (first["document"], first["page"], first["offset"]) == ("letter.txt", None, 0)
    assert set(first) >= {"document", "page", "offset", "snippet", "score"}
    answer = await script(settings, "search", "insurance", "--workflow-id", "run")
    assert answer.stdout.splitlines()[0].strip() == "1  minutes.pdf, page 2, at 84"
    unknown = await script(settings, "search", "roof", "--workflow-id", "unknown")
    assert (unknown.code, unknown.stdout) == (2, "")
    assert "No run with the workflow id 'unknown'" in unknown.stderr
    for nonsense in (["search", ""], ["search"], ["search", "x", "--limit", "0"]):
        assert (await script(settings, *nonsense)).code == 2
