"""`IdentityService`: who and what the mentions of a run are.

Distinct names (kind and normalised form) are put together into identities by rules that docs/services.md lists; every
mention has the identity of its name. What is resolved does not depend on the order in which documents finished.
"""

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class IdentitySummary:
    """What a resolution came to; `resolution_rate` is the share of mentions whose identity is known."""

    identities: int
    mentions: int
    resolution_rate: float


@dataclass(frozen=True, slots=True)
class IdentityCounts:
    """How many mentions there are, and of how many the identity is known; never more than there are."""

    mentions: int
    resolved: int


class IdentityStore(Protocol):
    """Storage of identities; every method raises `DependencyUnavailable` when it cannot be reached."""

    async def counts(self, workflow_id: str) -> IdentityCounts:
        """Mentions of a run's processed documents, and those that its last resolution covered without finding several.

        Asked at every checkpoint, so it reads documents, not mentions.
        """
        ...

    async def resolve(self, workflow_id: str, epoch: int) -> int:
        """Replace the run's identities by a fresh resolution, in one transaction; returns how many there are.

        A graph made of the earlier identities goes with them.

        Raises:
            StaleWriter: a later run has taken over.
        """
        ...


class IdentityService:
    """Resolves mentions into identities; its health is that of its store."""

    name = "IdentityService"

    def __init__(self, store: IdentityStore) -> None:
        self._store = store

    async def health(self, workflow_id: str) -> dict[str, Any]:
        """`processed_entities`: mentions of the run so far; `resolution_rate`: see docs/services.md."""
        counts = await self._store.counts(workflow_id)
        return {"processed_entities": counts.mentions, "resolution_rate": _rate(counts)}

    async def resolve(self, workflow_id: str, epoch: int) -> IdentitySummary:
        """Resolve every mention of the run; running it again gives the same.

        Raises:
            StaleWriter: a later run has taken over; nothing has changed.
        """
        identities = await self._store.resolve(workflow_id, epoch)
        counts = await self._store.counts(workflow_id)
        return IdentitySummary(identities, counts.mentions, _rate(counts))


def _rate(counts: IdentityCounts) -> float:
    return round(counts.resolved / counts.mentions, 3) if counts.mentions else 0.0
