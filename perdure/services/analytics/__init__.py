"""`AnalyticsService`: a run's results as a graph, as tables and as vectors.

* graph: the nodes are identities. An edge joins two identities that occur in the same documents; its weight is the
  number of these documents. Each node has a PageRank and a community.
* table: one row of statistics for each document.
* vector: one vector for each document, the mean of its chunks' embeddings at unit length.

This room may import `perdure.sandbox`, `perdure.documents` and below. Start reading here, then in `ranking.py`.
"""

from dataclasses import dataclass
from typing import Any, Protocol

ANALYSIS_MODES = ("graph", "table", "vector")
MAX_IDENTITIES_PER_DOCUMENT = 50
"""Most identities of a document that get edges: the most mentioned. 2,000 names would give two million edges."""


@dataclass(frozen=True, slots=True)
class AnalyticsSummary:
    """The sizes of the outputs of one run."""

    nodes: int
    edges: int
    table_rows: int
    vectors: int


class AnalyticsStore(Protocol):
    """The store of analytics.

    Every method raises `DependencyUnavailable` if the store cannot be reached.
    """

    async def graphs(self) -> int:
        """Return the number of runs that have a graph."""
        ...

    async def modes(self) -> list[str]:
        """Return the `ANALYSIS_MODES` that the database supports, in their order."""
        ...

    async def build(self, workflow_id: str, epoch: int, max_identities: int) -> AnalyticsSummary:
        """Replace the run's graph, table and vectors, in one transaction.

        Raises:
            StaleWriter: a later run has replaced this one.
            DependencyUnavailable: the ranking process cannot be started, or has ended.
        """
        ...


class AnalyticsService:
    """Builds the outputs of a whole run; the service is healthy when its store answers.

    Args:
        store: store of the outputs.
    """

    name = "AnalyticsService"

    def __init__(self, store: AnalyticsStore) -> None:
        """Keep the store; no connection is opened."""
        self._store = store

    async def health(self, workflow_id: str) -> dict[str, Any]:  # noqa: ARG002 - the protocol's argument; the figures cover all runs
        """Return the figures `graphs_generated` and `analysis_modes` of docs/services.md."""
        return {"graphs_generated": await self._store.graphs(), "analysis_modes": await self._store.modes()}

    async def build(self, workflow_id: str, epoch: int) -> AnalyticsSummary:
        """Build all three outputs from the stored identities and chunks.

        A repeated call gives the same outputs.

        Raises:
            StaleWriter: a later run has replaced this one; nothing has changed.
        """
        return await self._store.build(workflow_id, epoch, MAX_IDENTITIES_PER_DOCUMENT)
