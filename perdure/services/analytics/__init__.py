"""`AnalyticsService`: what a run's results look like as a graph, as tables and as vectors.

* graph: nodes are identities, edges join those that occur in the same documents, weighted by how many; each node
  has a PageRank and a community.
* table: one row of statistics a document.
* vector: one vector a document, the mean of its chunks' embeddings at unit length.
"""

from dataclasses import dataclass
from typing import Any, Protocol

ANALYSIS_MODES = ("graph", "table", "vector")
MAX_IDENTITIES_PER_DOCUMENT = 50
"""A document's most mentioned identities take part in edges; a long list of names would make a clique of thousands."""


@dataclass(frozen=True, slots=True)
class AnalyticsSummary:
    nodes: int
    edges: int
    table_rows: int
    vectors: int


class AnalyticsStore(Protocol):
    """Storage of analytics; every method raises `DependencyUnavailable` when it cannot be reached."""

    async def graphs(self) -> int:
        """How many runs have a graph."""
        ...

    async def modes(self) -> list[str]:
        """Which of `ANALYSIS_MODES` the database can carry out, in that order."""
        ...

    async def build(self, workflow_id: str, epoch: int, max_identities: int) -> AnalyticsSummary:
        """Replace the run's graph, table and vectors, in one transaction.

        Raises:
            StaleWriter: a later run has taken over.
            DependencyUnavailable: the ranking process cannot be started, or has ended.
        """
        ...


class AnalyticsService:
    """Builds the outputs over a whole run; its health is that of its store."""

    name = "AnalyticsService"

    def __init__(self, store: AnalyticsStore) -> None:
        self._store = store

    async def health(self, workflow_id: str) -> dict[str, Any]:  # noqa: ARG002 - it reports on all runs
        """`graphs_generated`: runs that have a graph; `analysis_modes`: those the database can carry out."""
        return {"graphs_generated": await self._store.graphs(), "analysis_modes": await self._store.modes()}

    async def build(self, workflow_id: str, epoch: int) -> AnalyticsSummary:
        """Build all three outputs from the identities and chunks as they are; running it again gives the same.

        Raises:
            StaleWriter: a later run has taken over; nothing has changed.
        """
        return await self._store.build(workflow_id, epoch, MAX_IDENTITIES_PER_DOCUMENT)
