"""The ranks of a graph: known results of small graphs, and independence of the order of rows."""

import os
import random

import pytest

from perdure.services.analytics.ranking import Edge, rank_graph


def test_centre_of_a_star_has_the_pagerank_of_its_equation() -> None:
    scores = {name: score for name, score, _ in rank_graph("abcde", [("a", other, 3) for other in "bcde"])}
    centre = (0.15 / 5 + 0.85 * 4 * 0.15 / 5) / (1 - 0.85**2)
    assert scores["a"] == pytest.approx(centre, abs=1e-9)
    assert [scores[other] for other in "bcde"] == pytest.approx([(1 - centre) / 4] * 4, abs=1e-9)


def test_heavier_edge_ranks_its_end_higher() -> None:
    scores = {name: score for name, score, _ in rank_graph("abc", [("a", "b", 9), ("a", "c", 1)])}
    assert scores["a"] > scores["b"] > scores["c"]


def test_communities_are_numbered_by_size_and_single_nodes_come_last() -> None:
    groups = ("bcde", "fgh")
    edges: list[Edge] = [(a, b, 5) for group in groups for a in group for b in group if a < b]
    communities = {name: community for name, _, community in rank_graph("zyabcdefgh", [*edges, ("e", "f", 1)])}
    assert communities == {**dict.fromkeys("bcde", 0), **dict.fromkeys("fgh", 1), "a": 2, "y": 3, "z": 4}


def test_graph_without_edges_has_equal_ranks() -> None:
    assert list(rank_graph("ba", [])) == [("a", 0.5, 0), ("b", 0.5, 1)]
    assert list(rank_graph([], [])) == []


def test_ranks_do_not_depend_on_order_of_rows_and_ends() -> None:
    seed = int(os.environ.get("PERDURE_TEST_SEED", random.randrange(2**32)))
    print(f"seed {seed}")
    chance = random.Random(seed)
    nodes = [f"idn_{chance.getrandbits(64):016x}" for _ in range(400)]
    pairs = {tuple(sorted(chance.sample(nodes[:380], 2))) for _ in range(2500)}
    edges: list[Edge] = [(source, target, chance.randint(1, 9)) for source, target in sorted(pairs)]
    expected = list(rank_graph(nodes, edges))
    assert sum(score for _, score, _ in expected) == pytest.approx(1, abs=1e-9)
    for _ in range(5):
        shuffled: list[Edge] = [
            (target, source, weight) if chance.random() < 0.5 else (source, target, weight)
            for source, target, weight in chance.sample(edges, len(edges))
        ]
        assert list(rank_graph(chance.sample(nodes, len(nodes)), shuffled)) == expected
