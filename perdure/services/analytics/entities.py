"""Records of the people, organisations and other things that a run's documents name."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entity:
    """An identity and its place in the graph.

    `pagerank` and `community` are None if the run has no graph.
    """

    identity_id: str
    kind: str
    name: str
    mentions: int
    documents: int
    confidence: float
    pagerank: float | None
    community: int | None


@dataclass(frozen=True, slots=True)
class Alias:
    """A spelling, its number of mentions, and the rule that joined it to its identity."""

    surface: str
    mentions: int
    rule: str
    score: float


@dataclass(frozen=True, slots=True)
class Relation:
    """Another identity, and the number of documents in common."""

    kind: str
    name: str
    weight: int


@dataclass(frozen=True, slots=True)
class CitedMention:
    """One place of a mention; it covers `snippet[start:end]`, in characters."""

    document: str
    uri: str
    page: int | None
    offset: int
    snippet: str
    start: int
    end: int
