"""The views of citations give the same page and section as `locate`."""

from dataclasses import replace

import numpy as np

from perdure.analysis.annotations import Chunk, Mention
from perdure.documents.citation import locate
from perdure.documents.document import Section, Table
from perdure.manifest import Lease
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.manifest import PostgresManifestStore
from tests.integration.made_documents import discovered, processed

TEXT = "x" * 60
PAGES = {"paged.txt": (0, 10, 30), "plain.txt": ()}
SECTIONS = (Section(5, 1, "One"), Section(20, 2, "Within"), Section(20, 3, "At once"), Section(40, 1, "Two"))
TABLES = (Table(30, 36, (("a", "b"), ("c",)), 3),)


async def test_citation_views_agree_with_locate(database_url: str) -> None:
    pool = PostgresPool(database_url)
    try:
        store = PostgresManifestStore(pool)
        lease = None
        epoch = await store.claim("run", "first", at_least=1)
        await store.record("run", epoch, [discovered(name) for name in PAGES])
        await store.enqueue_unfinished("run", epoch, quarantined=False)
        lease = Lease(epoch, 1, 1)
        for entry in await store.lease_batch("run", lease, 0, 2):
            document = replace(
                processed(entry.name),
                text=TEXT,
                page_offsets=PAGES[entry.name],
                sections=SECTIONS,
                tables=TABLES,
                chunks=tuple(Chunk(at, at + 5) for at in range(0, 60, 5)),
                embeddings=np.full((12, 256), 1 / 16, np.float32),
                mentions=tuple(Mention(at, at + 1, "place", "x", "x", 0.5) for at in range(60)),
                authors=("Ann B",),
                created="2024-03-05",
                language="en",
            )
            await store.commit("run", lease, entry.position, document, attempts=1)
        async with pool.connection() as conn:
            for view, count in (("cited_mentions", 60), ("cited_chunks", 12)):
                rows = await conn.fetch(f"SELECT document, page, section, start_offset FROM {view}")
                assert len(rows) == 2 * count
                for row in rows:
                    location = locate(row["start_offset"], PAGES[row["document"]], SECTIONS)
                    assert (row["page"], row["section"]) == (location.page, location.section)
            headings = await conn.fetch("SELECT heading FROM tables_of_contents WHERE position = 0 ORDER BY ordinal")
            assert [row["heading"] for row in headings] == ["One", "  Within", "    At once", "Two"]
            cells = await conn.fetchval("SELECT cells FROM document_tables WHERE position = 0")
            assert cells == [["a", "b"], ["c"]]
            metadata = await conn.fetchrow("SELECT authors, created, modified, language FROM documents LIMIT 1")
            assert tuple(metadata or ()) == (["Ann B"], "2024-03-05", None, "en")
    finally:
        await pool.close()
