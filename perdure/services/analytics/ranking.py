"""PageRank and communities of a graph's nodes.

The result does not depend on the order of the rows.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

import graspologic_native
import rustworkx

DECIMALS = 12
"""Decimals of a PageRank: coarser than rounding errors, and finer than the rank of a node among a million."""
_DAMPING = 0.85
_TOLERANCE = 1e-12
_MAX_ITERATIONS = 1000
_SEED = 1
_CYCLES = 3
_RANDOMNESS = 0.001
_RESOLUTION = 1.0

Edge = tuple[str, str, int]
"""Source, target and weight."""
Ranked = tuple[str, float, int]
"""Node, PageRank and community."""


def rank_graph(nodes: Iterable[str], edges: Iterable[Edge]) -> Iterator[Ranked]:
    """Yield every node in the order of names, with its PageRank and its community.

    The PageRanks sum to 1. Communities come from Leiden's algorithm over modularity. Communities are numbered from 0 by
    size, the largest first. Of communities of equal size, the community with the smallest name comes first. A node
    without edges is a separate community.

    Args:
        nodes: names of the nodes, each once.
        edges: undirected edges between these nodes, with weights above 0.
    """
    names = sorted(nodes)
    place = {name: index for index, name in enumerate(names)}
    joined = sorted((place[min(s, t)], place[max(s, t)], weight) for s, t, weight in edges)
    scores = _compute_pagerank(len(names), joined)
    communities = _find_communities(len(names), joined)
    for index, name in enumerate(names):
        yield name, round(scores[index], DECIMALS), communities[index]


def _compute_pagerank(count: int, edges: list[tuple[int, int, int]]) -> list[float]:
    if not edges:
        return [1 / count] * count if count else []
    graph = rustworkx.PyDiGraph(node_count_hint=count, edge_count_hint=2 * len(edges))
    graph.add_nodes_from(range(count))
    graph.add_edges_from(edges)
    graph.add_edges_from([(target, source, weight) for source, target, weight in edges])
    scores = rustworkx.pagerank(graph, alpha=_DAMPING, weight_fn=float, tol=_TOLERANCE, max_iter=_MAX_ITERATIONS)
    return [scores[index] for index in range(count)]


def _find_communities(count: int, edges: list[tuple[int, int, int]]) -> list[int]:
    community_of: dict[str, int] = {}
    if edges:
        named = [(str(source), str(target), float(weight)) for source, target, weight in edges]
        _, community_of = graspologic_native.leiden(
            named, resolution=_RESOLUTION, randomness=_RANDOMNESS, iterations=_CYCLES, seed=_SEED
        )
    # The sort is stable, so the members of each community stay in the order of their names.
    next_community = len(community_of)
    of_node = [community_of.get(str(index), next_community + index) for index in range(count)]
    groups = groupby(sorted(range(count), key=of_node.__getitem__), key=of_node.__getitem__)
    numbered = [0] * count
    members = sorted((list(group) for _, group in groups), key=lambda group: (-len(group), group[0]))
    for number, group in enumerate(members):
        for index in group:
            numbered[index] = number
    return numbered
