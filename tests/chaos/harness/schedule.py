"""Which faults happen when: made from a seed alone, so that the same seed gives the same schedule."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

GAP_SECONDS = (0.2, 2.0)
"""Between the beginnings of two faults."""


@dataclass(frozen=True)
class Kind:
    """A kind of fault, and how long one lasts."""

    name: str
    weight: int
    shortest: float
    longest: float
    """Seconds until what it did is undone; a worker that was killed comes back by itself."""


KINDS = (
    Kind("kill worker", 6, 0.0, 0.0),
    Kind("kill supervisor", 2, 0.0, 2.0),
    Kind("kill zygote", 2, 0.0, 0.0),
    Kind("kill pool child", 4, 0.0, 0.0),
    Kind("stop worker", 4, 0.5, 9.0),
    Kind("stop pool child", 2, 0.5, 3.0),
    Kind("kill Temporal", 2, 0.0, 2.0),
    Kind("stop Temporal", 2, 0.5, 4.0),
    Kind("kill Postgres", 2, 0.0, 2.0),
    Kind("kill backend", 2, 0.0, 0.0),
    Kind("stop backends", 2, 0.5, 4.0),
    Kind("cut Temporal", 3, 0.0, 3.0),
    Kind("cut Postgres", 3, 0.0, 3.0),
    Kind("stall Temporal", 2, 0.5, 4.0),
    Kind("stall Postgres", 2, 0.5, 4.0),
    Kind("lose commits", 3, 1.0, 3.0),
    Kind("fill disk", 2, 0.5, 4.0),
    Kind("stop service", 2, 0.5, 5.0),
)


@dataclass(frozen=True)
class Fault:
    """One thing that happens."""

    kind: str
    after: float
    """Seconds since the beginning of the one before."""
    lasts: float
    """Seconds."""
    pick: float
    """From 0 to 1: which of several possible targets."""


def schedule(seed: int, count: int, *, without: Sequence[str] = ()) -> list[Fault]:
    """Plan `count` faults.

    Each kind comes up before one comes up again too often: kinds are dealt from a shuffled deck that holds each as
    often as its weight says, so a short schedule has many kinds and a long one has all.
    """
    chance = random.Random(seed)
    faults: list[Fault] = []
    deck: list[Kind] = []
    while len(faults) < count:
        if not deck:
            once = [kind for kind in KINDS if kind.name not in without]
            more = [kind for kind in once for _ in range(kind.weight - 1)]
            chance.shuffle(once)
            chance.shuffle(more)
            deck = [*once, *more]
        kind = deck.pop(0)
        faults.append(
            Fault(
                kind.name,
                after=round(chance.uniform(*GAP_SECONDS), 3),
                lasts=round(chance.uniform(kind.shortest, kind.longest), 3),
                pick=chance.random(),
            )
        )
    return faults
