"""Disjoint sets of names that refuse to grow into a contradiction."""

from collections.abc import Callable, Iterator, Sequence

MAX_MEMBERS = 1000
"""Of a set; with more names than anybody has, whoever made them up shall not make others wait."""


class Clusters:
    """Union-find over the numbers 0 to `count` - 1; the smallest member stands for its set.

    Args:
        count: how many there are.
        compatible: whether two members may be in one set; asked of every pair before two sets become one.
    """

    def __init__(self, count: int, compatible: Callable[[int, int], bool]) -> None:
        self._parents = list(range(count))
        self._members: dict[int, list[int]] = {}
        self._compatible = compatible

    def find(self, one: int) -> int:
        """The member that stands for the set of this one."""
        parents = self._parents
        while parents[one] != one:
            parents[one] = parents[parents[one]]
            one = parents[one]
        return one

    def members(self, one: int) -> Sequence[int]:
        """All of its set, in the order in which they came to it."""
        root = self.find(one)
        return self._members.get(root, (root,))

    def admits(self, one: int, other: int) -> bool:
        """Whether no member of either set contradicts one of the other."""
        return all(self._compatible(mine, theirs) for mine in self.members(one) for theirs in self.members(other))

    def join(self, one: int, other: int, *, alike: bool = False) -> bool:
        """Make the two sets one, unless that would bring strangers together; whether they are one now.

        With `alike` the two say the same of whom they mean, and nobody is asked.
        """
        one, other = sorted((self.find(one), self.find(other)))
        if one == other:
            return True
        if len(self.members(one)) + len(self.members(other)) > MAX_MEMBERS:
            return False
        if not alike and not self.admits(one, other):
            return False
        self._members[one] = [*self.members(one), *self.members(other)]
        self._members.pop(other, None)
        self._parents[other] = one
        return True

    def sets(self) -> Iterator[Sequence[int]]:
        """Every set, by its smallest member."""
        for one, parent in enumerate(self._parents):
            if one == parent:
                yield self.members(one)
