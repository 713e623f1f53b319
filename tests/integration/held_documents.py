"""Holds a run at one of its documents, so that the run cannot end before the test has acted."""

import asyncio
from types import TracebackType
from typing import Self

import asyncpg

_GATE = """
CREATE TABLE held_documents (first bigint NOT NULL);
CREATE FUNCTION wait_while_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WHILE EXISTS (SELECT FROM held_documents WHERE first <= NEW.position) LOOP
        PERFORM pg_sleep(0.02);
    END LOOP;
    RETURN NEW;
END $$;
CREATE TRIGGER wait_while_held BEFORE INSERT ON document_texts FOR EACH ROW EXECUTE FUNCTION wait_while_held();
"""


class HeldDocuments:
    """During the block, the database commits no result from position `first` onwards.

    These are the results of the document at this position and of all later documents.
    The commit of such a document waits inside its transaction. After a minute the transaction fails as one on a server
    that is away, and the worker repeats it. An interrupted worker waits for such a commit until its grace period ends.

    Args:
        database_url: the database of the run, with all migrations applied.
        first: the position in the manifest, from 0.
    """

    def __init__(self, database_url: str, first: int) -> None:
        self._database_url = database_url
        self._first = first

    async def __aenter__(self) -> Self:
        """Begin to hold the documents."""
        await self.hold_from(self._first)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let every document pass."""
        await self.release()

    def __enter__(self) -> Self:
        """Begin to hold the documents, in a test without an event loop."""
        asyncio.run(self.hold_from(self._first))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let every document pass, in a test without an event loop."""
        asyncio.run(self.release())

    async def hold_from(self, first: int) -> None:
        """Hold the documents from this position on, and let the documents before it pass."""
        conn = await asyncpg.connect(self._database_url)
        try:
            if await conn.fetchval("SELECT to_regclass('held_documents')") is None:
                await conn.execute(_GATE)
            async with conn.transaction():
                await conn.execute("DELETE FROM held_documents")
                await conn.execute("INSERT INTO held_documents VALUES ($1)", first)
        finally:
            await conn.close()

    async def release(self) -> None:
        """Let every document pass."""
        conn = await asyncpg.connect(self._database_url)
        try:
            await conn.execute("DELETE FROM held_documents")
        finally:
            await conn.close()
