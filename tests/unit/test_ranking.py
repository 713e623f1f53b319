"""Ranks of a graph: known answers of small ones, and nothing that depends on the order of the rows."""

import os
import random

import pytest

from perdure.services.analytics.ranking import Edge, rank_graph


def test_the_middle_of_a_star_has_the_pagerank_that_its_equation_gives() -> None:
    found = {name: score for name, score, _ in rank_graph("abcde", [("a", other, 3) for other in "bcde"])}
    middle = (0.15 / 5 + 0.85 * 4 * 0.15 / 5) / (1 - 0.85**2)
    assert found["a"] == pytest.approx(middle, abs=1e-9)
    assert [found[other] for other in "bcde"] == pytest.approx([(1 - middle) / 4] * 4, abs=1e-9)


def test_a_heavier_edge_ranks_its_end_higher() -> None:
    found = {name: score for name, score, _ in rank_graph("abc", [("a", "b", 9), ("a", "c", 1)])}
    assert found["a"] > found["b"] > found["c"]


def test_two_groups_joined_by_one_edge_are_two_communities_the_largest_first_and_who_is_alone_is_one() -> None:
    groups = ("bcde", "fgh")
    edges: list[Edge] = [(a, b, 5) for group in groups for a in group for b in group if a < b]
    found = {name: community for name, _, community in rank_graph("zyabcdefgh", [*edges, ("e", "f", 1)])}
    assert found == {**dict.fromkeys("bcde", 0), **dict.fromkeys("fgh", 1), "a": 2, "y": 3, "z": 4}


def test_without_edges_all_are_equal_and_without_nodes_there_is_nothing() -> None:
    assert list(rank_graph("ba", [])) == [("a", 0.5, 0), ("b", 0.5, 1)]
    assert list(rank_graph([], [])) == []


def test_the_order_of_rows_and_of_the_ends_of_an_edge_decides_nothing() -> None:
    seed = int(os.environ.get("PERDURE_TEST_SEED", random.randrange(2**32)))
    print(f"seed {seed}")
    chance = random.Random(seed)
    nodes = [f"idn_{chance.getrandbits(64):016x}" for _ in range(400)]
    pairs = {tuple(sorted(chance.sample(nodes[:380], 2))) for _ in range(2500)}
    edges: list[Edge] = [(source, target, chance.randint(1, 9)) for source, target in sorted(pairs)]
    once = list(rank_graph(nodes, edges))
    assert sum(score for _, score, _ in once) == pytest.approx(1, abs=1e-9)
    for _ in range(5):
        shuffled = [(t, s, w) if chance.random() < 0.5 else (s, t, w) for s, t, w in chance.sample(edges, len(edges))]
        assert list(rank_graph(chance.sample(nodes, len(nodes)), shuffled)) == once
