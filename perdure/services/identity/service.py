"""`IdentityService`: resolves the mentions of a run into identities.

The rules of docs/services.md join distinct names (kind and normalised form) into identities. Every mention has the
identity of its name. The result does not depend on the order in which documents finished.
"""

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class IdentitySummary:
    """The result of a resolution.

    `resolution_rate` is the share of mentions with a known identity, from 0 to 1.
    """

    identities: int
    mentions: int
    resolution_rate: float


@dataclass(frozen=True, slots=True)
class IdentityCounts:
    """Number of mentions, and number of those with a known identity."""

    mentions: int
    resolved: int


class IdentityStore(Protocol):
    """The store of identities; methods raise `DependencyUnavailable` if it cannot be reached."""

    async def counts(self, workflow_id: str) -> IdentityCounts:
        """Return the number of mentions of processed documents, and how many of them are resolved.

        Every checkpoint calls this method. The method therefore reads the rows of documents, and no rows of mentions.
        """
        ...

    async def resolve(self, workflow_id: str, epoch: int) -> int:
        """Replace the run's identities by a new resolution, in one transaction; return their number.

        The transaction also deletes a graph made of the earlier identities.

        Raises:
            StaleWriter: a later run has replaced this one.
        """
        ...


class IdentityService:
    """Resolves mentions into identities; the service is healthy when its store answers.

    Args:
        store: store of the identities.
    """

    name = "IdentityService"

    def __init__(self, store: IdentityStore) -> None:
        """Keep the store; no connection is opened."""
        self._store = store

    async def health(self, workflow_id: str) -> dict[str, Any]:
        """Return the figures `processed_entities` and `resolution_rate` of docs/services.md."""
        counts = await self._store.counts(workflow_id)
        return {"processed_entities": counts.mentions, "resolution_rate": _compute_rate(counts)}

    async def resolve(self, workflow_id: str, epoch: int) -> IdentitySummary:
        """Resolve every mention of the run; a repeated call gives the same identities.

        Raises:
            StaleWriter: a later run has replaced this one; nothing has changed.
        """
        identities = await self._store.resolve(workflow_id, epoch)
        counts = await self._store.counts(workflow_id)
        return IdentitySummary(identities, counts.mentions, _compute_rate(counts))


def _compute_rate(counts: IdentityCounts) -> float:
    return round(counts.resolved / counts.mentions, 3) if counts.mentions else 0.0
