"""A short name joins a candidate only if they share enough documents; few candidates count."""

import pytest

from perdure.services.identity.cooccurrence import MAX_CANDIDATES, Cooccurrence

SHORT = 0


@pytest.mark.parametrize(("candidates", "is_counted"), [(0, False), (1, True), (MAX_CANDIDATES, True),
                                                        (MAX_CANDIDATES + 1, False)])  # fmt: skip
def test_name_of_too_many_candidates_is_not_counted(candidates: int, is_counted: bool) -> None:
    cooccurrence = Cooccurrence()
    cooccurrence.request(SHORT, range(1, candidates + 1))
    assert len(cooccurrence.pairs) == (candidates + 1 if is_counted else 0)


@pytest.mark.parametrize(
    ("documents", "first", "second", "chosen"),
    [
        (10, 5, 0, 1),
        (10, 4, 0, None),
        (10, 6, 3, 1),
        (10, 6, 4, None),
        (10, 3, 6, 2),
        (10, 0, 0, None),
        (0, 0, 0, None),
    ],
)
def test_candidate_must_lead_in_half_of_the_documents(
    documents: int, first: int, second: int, chosen: int | None
) -> None:
    cooccurrence = Cooccurrence()
    cooccurrence.documents = {(SHORT, SHORT): documents, (SHORT, 1): first, (SHORT, 2): second}
    assert cooccurrence.choose(SHORT, [(1, [1]), (2, [2])]) == chosen


def test_candidate_counts_by_its_most_frequent_name() -> None:
    cooccurrence = Cooccurrence()
    cooccurrence.documents = {(SHORT, SHORT): 4, (SHORT, 1): 1, (SHORT, 2): 3}
    assert cooccurrence.count_shared(SHORT, [1, 2, 3]) == 3
    assert cooccurrence.choose(SHORT, []) is None
