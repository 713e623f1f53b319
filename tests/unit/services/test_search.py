"""Rankings are fused by rank alone, in a deterministic order, and each offset of a text has a page."""

import os
import random

import pytest

from perdure.services.search import CANDIDATES, fuse, page_of


def test_place_in_both_rankings_comes_first() -> None:
    assert [place for place, _ in fuse([[(1, 0), (2, 0)], [(3, 0), (2, 0)]])] == [(2, 0), (1, 0), (3, 0)]


def test_score_is_the_sum_of_reciprocal_ranks() -> None:
    assert dict(fuse([[(1, 0)], [(2, 5), (1, 0)]])) == {(1, 0): 1 / 61 + 1 / 62, (2, 5): 1 / 61}


def test_result_does_not_depend_on_order_of_rankings() -> None:
    seed = int(os.environ.get("PERDURE_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"PERDURE_TEST_SEED={seed}")
    chance = random.Random(seed)
    places = [(chance.randrange(50), chance.randrange(5)) for _ in range(CANDIDATES)]
    first = list(dict.fromkeys(places))
    second = list(dict.fromkeys(chance.sample(places, len(places))))
    assert [place for place, _ in fuse([first, second])] == [place for place, _ in fuse([second, first])]
    assert fuse([]) == fuse([[], []]) == []


@pytest.mark.parametrize(("offset", "page"), [(0, 1), (9, 1), (10, 2), (24, 2), (25, 3), (10**6, 3)])
def test_page_begins_at_its_offset(offset: int, page: int) -> None:
    assert page_of(offset, [0, 10, 25]) == page


def test_text_without_pages_has_no_page_number() -> None:
    assert page_of(5, []) is None
