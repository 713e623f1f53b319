"""Disjoint sets of names that never join contradicting names."""

from collections.abc import Callable, Iterator, Sequence

MAX_MEMBERS = 1000
"""Most members of a set. Without a bound, hostile names could make the time of joins grow with their square."""


class Clusters:
    """Union-find over the numbers 0 to `count` - 1; the smallest member of a set is its root.

    Args:
        count: number of members.
        compatible: returns whether two members may be in one set; called for every pair before two sets are joined.
    """

    def __init__(self, count: int, compatible: Callable[[int, int], bool]) -> None:
        """Start with a separate set for every member."""
        self._parents = list(range(count))
        self._members: dict[int, list[int]] = {}
        self._compatible = compatible

    def find(self, member: int) -> int:
        """Return the root of the member's set."""
        parents = self._parents
        while parents[member] != member:
            parents[member] = parents[parents[member]]
            member = parents[member]
        return member

    def members(self, member: int) -> Sequence[int]:
        """Return all members of the member's set, in the order in which they were joined."""
        root = self.find(member)
        return self._members.get(root, (root,))

    def admits(self, first: int, second: int) -> bool:
        """Return whether every pair of members of the two sets is compatible."""
        return all(self._compatible(a, b) for a in self.members(first) for b in self.members(second))

    def join(self, first: int, second: int, *, alike: bool = False) -> bool:
        """Join the sets of two members if they are compatible; return whether they are in one set.

        Args:
            first: a member.
            second: another member.
            alike: whether the two are known to be compatible, so that no pair needs a check.
        """
        root, absorbed = sorted((self.find(first), self.find(second)))
        if root == absorbed:
            return True
        if len(self.members(root)) + len(self.members(absorbed)) > MAX_MEMBERS:
            return False
        if not alike and not self.admits(root, absorbed):
            return False
        self._members[root] = [*self.members(root), *self.members(absorbed)]
        self._members.pop(absorbed, None)
        self._parents[absorbed] = root
        return True

    def sets(self) -> Iterator[Sequence[int]]:
        """Yield every set, in the order of the roots."""
        for member, parent in enumerate(self._parents):
            if member == parent:
                yield self.members(member)
