"""Selects the edges to draw: a few for each node, because all edges would cover the drawing."""

from perdure.report.data import Edge, GraphPicture

STRONGEST = 3
"""Edges drawn for each node; further edges of a node are drawn if they are among the other node's strongest."""


def strongest_edges(graph: GraphPicture) -> list[Edge]:
    """Return the edges that are among the `STRONGEST` of either end, heaviest first."""
    taken: dict[str, int] = {}
    chosen = []
    known = {node.identity_id for node in graph.nodes}
    for edge in sorted(graph.edges, key=lambda edge: (-edge.weight, edge.source, edge.target)):
        ends = (edge.source, edge.target)
        if known.issuperset(ends) and any(taken.get(end, 0) < STRONGEST for end in ends):
            chosen.append(edge)
            for end in ends:
                taken[end] = taken.get(end, 0) + 1
    return chosen
