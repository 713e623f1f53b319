"""Schedules of faults, made from a seed alone: the same seed always gives the same schedule."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

GAP_SECONDS = (0.2, 2.0)
"""Shortest and longest time between the starts of two faults."""


@dataclass(frozen=True)
class Kind:
    """A kind of fault; its duration is between `shortest` and `longest`, in seconds."""

    name: str
    weight: int
    """How often a deck of faults holds this kind."""
    shortest: float
    longest: float
    """0 for faults that need no undoing: a supervisor replaces a killed worker."""


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
    """A planned fault."""

    kind: str
    after: float
    """Seconds between the start of the previous fault and the start of this one."""
    lasts: float
    """Seconds from the start of the fault until it is undone."""
    pick: float
    """From 0 to 1; selects one of several targets."""


def plan_faults(seed: int, count: int, *, without: Sequence[str] = ()) -> list[Fault]:
    """Plan `count` faults.

    Kinds are dealt from a deck: first each kind once in random order, then the rest of the weights in random order. The
    first `len(KINDS)` faults are therefore of distinct kinds, and a long schedule follows the weights.

    Args:
        seed: determines the whole schedule.
        count: number of faults.
        without: names of kinds to leave out.
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
