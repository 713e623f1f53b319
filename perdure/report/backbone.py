"""Which edges of a graph are drawn: a few for each node, or the picture would be a black square."""

from perdure.report.data import Edge, GraphPicture

STRONGEST = 3
"""Edges drawn for each node; it may be an end of more, which are among the strongest of others."""


def strongest_edges(graph: GraphPicture) -> list[Edge]:
    """The edges that are among the `STRONGEST` of either of their ends, the heaviest first."""
    taken: dict[str, int] = {}
    chosen = []
    known = {node.identity_id for node in graph.nodes}
    for edge in sorted(graph.edges, key=lambda one: (-one.weight, one.source, one.target)):
        ends = (edge.source, edge.target)
        if known.issuperset(ends) and any(taken.get(end, 0) < STRONGEST for end in ends):
            chosen.append(edge)
            for end in ends:
                taken[end] = taken.get(end, 0) + 1
    return chosen
