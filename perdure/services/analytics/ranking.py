"""How central the nodes of a graph are, and which of them belong together; the order of the rows decides nothing."""

from collections.abc import Iterable, Iterator
from itertools import groupby

import graspologic_native
import rustworkx

DECIMALS = 12
"""Of a PageRank: far above what the order of additions may change, far below what a node of a million has."""
_DAMPING = 0.85
_TOLERANCE = 1e-12
_MAX_ITERATIONS = 1000
_SEED = 1
_CYCLES = 3
_RANDOMNESS = 0.001
_RESOLUTION = 1.0

Edge = tuple[str, str, int]
Ranked = tuple[str, float, int]


def ranked(nodes: Iterable[str], edges: Iterable[Edge]) -> Iterator[Ranked]:
    """Every node by name, with its PageRank (all sum up to 1) and its community.

    Edges are undirected, name nodes of the graph and weigh more than 0. Communities are found by Leiden's algorithm
    over modularity and count from 0, the largest first, of equals the one with the smallest name; a node without edges
    is one of its own.
    """
    names = sorted(nodes)
    place = {name: index for index, name in enumerate(names)}
    joined = sorted((place[min(s, t)], place[max(s, t)], weight) for s, t, weight in edges)
    scores = _pagerank(len(names), joined)
    communities = _communities(len(names), joined)
    for index, name in enumerate(names):
        yield name, round(scores[index], DECIMALS), communities[index]


def _pagerank(count: int, edges: list[tuple[int, int, int]]) -> list[float]:
    if not edges:
        return [1 / count] * count if count else []
    graph = rustworkx.PyDiGraph(node_count_hint=count, edge_count_hint=2 * len(edges))
    graph.add_nodes_from(range(count))
    graph.add_edges_from(edges)
    graph.add_edges_from([(target, source, weight) for source, target, weight in edges])
    found = rustworkx.pagerank(graph, alpha=_DAMPING, weight_fn=float, tol=_TOLERANCE, max_iter=_MAX_ITERATIONS)
    return [found[index] for index in range(count)]


def _communities(count: int, edges: list[tuple[int, int, int]]) -> list[int]:
    found: dict[str, int] = {}
    if edges:
        named = [(str(source), str(target), float(weight)) for source, target, weight in edges]
        _, found = graspologic_native.leiden(
            named, resolution=_RESOLUTION, randomness=_RANDOMNESS, iterations=_CYCLES, seed=_SEED
        )
    # A stable sort, so that the members of each community stay in the order of their names.
    alone = len(found)
    of_node = [found.get(str(index), alone + index) for index in range(count)]
    together = groupby(sorted(range(count), key=of_node.__getitem__), key=of_node.__getitem__)
    numbered = [0] * count
    members = sorted((list(group) for _, group in together), key=lambda group: (-len(group), group[0]))
    for number, group in enumerate(members):
        for index in group:
            numbered[index] = number
    return numbered
