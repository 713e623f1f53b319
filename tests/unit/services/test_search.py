"""Rankings are fused by rank alone, and each offset of a text has a page."""

import os
import random
from typing import Any

import pytest

from perdure.errors import RefusedCommand
from perdure.services.search import CANDIDATES, MAX_QUERY_CHARACTERS, SearchService, fuse, page_of


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


class Refusing:
    """A store and an embedder that no refused query may reach."""

    def __getattr__(self, name: str) -> Any:
        """Fail the test."""
        pytest.fail(f"{name} was called for a query that is refused")


@pytest.mark.parametrize("query", ["", "?!", "x" * (MAX_QUERY_CHARACTERS + 1)])
async def test_empty_or_endless_query_is_refused(query: str) -> None:
    with pytest.raises(RefusedCommand):
        await SearchService(Refusing(), Refusing()).search("run", query, 10)
