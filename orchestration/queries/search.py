"""Search the passages of one run."""

from collections.abc import Sequence

from orchestration.queries.opened import Queries
from perdure.analysis.embeddings import WordLlamaEmbedder
from perdure.services.search import Hit, SearchService


async def search_passages(queries: Queries, run: str, query: str, limit: int) -> Sequence[Hit]:
    """Return the passages that match a query by words and by meaning, the best first.

    Args:
        queries: the open read-only stores.
        run: workflow id.
        query: the query as the user typed it.
        limit: largest number of passages to return.

    Raises:
        DependencyUnavailable: the database cannot be reached.
    """
    return await SearchService(queries.passages, WordLlamaEmbedder()).search(run, query, limit)
