"""What holds of every resolution: its order does not matter, nothing contradicts itself, and it is good enough."""

import io
import os
import random
from collections import defaultdict

import pytest

from perdure.sandbox.computation.exchange import ROWS, pack, read_rows, split_into_blocks
from perdure.services.identity.clusters import MAX_MEMBERS, Clusters
from perdure.services.identity.names import AMBIGUOUS, SCORES
from perdure.services.identity.person import compatible, parse_person
from perdure.services.identity.resolution import Resolution
from perdure.services.identity.spelling import MAX_COMPARED, find_misspellings
from tests.identities.generated import GeneratedRun
from tests.identities.resolved import resolved
from tests.identities.scores import Score, b_cubed, pairwise
from tests.identities.word_lists import APART, OPEN, WordLists


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("PERDURE_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"PERDURE_TEST_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def run(chance: random.Random) -> GeneratedRun:
    return GeneratedRun(chance.randrange(2**32), OPEN, 3000, typing_errors=0.1)


def test_identities_do_not_depend_on_the_order_of_documents_and_names(chance: random.Random, run: GeneratedRun) -> None:
    mentions = list(run)
    expected = resolved(mentions)
    assert any(rule == "typing_error" for _, _, rule, _ in expected.values())
    for _ in range(3):
        chance.shuffle(mentions)
        assert resolved(mentions) == expected


@pytest.mark.parametrize("kind", ["person", "organisation", "place"])
def test_rows_may_come_in_any_order(chance: random.Random, run: GeneratedRun, kind: str) -> None:
    rows = [
        (number, normalised, normalised.title(), chance.randint(1, 9))
        for number, normalised in enumerate(sorted({one.normalised for one in run if one.kind == kind}))
    ]
    found = []
    for _ in range(3):
        resolution = Resolution(kind, rows)
        pairs = list(resolution.pairs())
        resolution.add_counts(
            [(short, other, 1 + (short * other) % 3) for short, other in chance.sample(pairs, len(pairs))]
        )
        found.append((pairs, sorted(resolution.joins())))
        chance.shuffle(rows)
    assert found[0] == found[1] == found[2]


def test_an_identity_is_reached_in_one_step_and_told_of_once(run: GeneratedRun) -> None:
    found = resolved(run)
    for (kind, normalised), (_, canonical, rule, score) in found.items():
        assert found[kind, canonical][1] == canonical, "the name of an identity is its own"
        assert score == SCORES[rule]
        assert (rule == "same_name") <= (canonical == normalised)
    own = [(rule, name == canonical) for (_, name), (_, canonical, rule, _) in found.items()]
    assert all(is_own for rule, is_own in own if rule == AMBIGUOUS)


def test_resolving_the_names_that_identities_are_known_by_keeps_them_apart(run: GeneratedRun) -> None:
    """All but one in fifty: a misspelling may have been too frequent, or a short name ambiguous, only with the rest."""
    mentions = list(run)
    found = resolved(mentions)
    heads = [one for one in mentions if found[one.kind, one.normalised][1] == one.normalised]
    again = resolved(heads)
    assert heads
    assert sum(canonical != name for (_, name), (_, canonical, _, _) in again.items()) <= len(again) // 50


def test_no_identity_holds_people_whose_names_contradict_each_other(run: GeneratedRun) -> None:
    found = resolved(run)
    members = defaultdict(list)
    for (kind, name), (_, canonical, rule, _) in found.items():
        if kind == "person" and rule not in ("typing_error", "first_name") and (person := parse_person(name)):
            members[canonical].append(person)
    assert max(map(len, members.values())) > 2
    for people in members.values():
        right = [one for one in people if one.last == people[0].last]
        assert all(compatible(one, other) for one in right for other in right), people


def test_misspelt_names_do_not_bridge_two_right_ones(chance: random.Random) -> None:
    """Each word is one edit from the next, a thousand in a row: only the direct neighbours of a right one join it."""
    words = ["a" * 8]
    while len(words) < 300:
        at = chance.randrange(1, 8)
        words.append(words[-1][:at] + chance.choice("bcdefg") + words[-1][at + 1 :])
    words = sorted(set(words))
    mentions = [chance.randint(1, 100) for _ in words]
    order = sorted(range(len(words)), key=lambda one: (-mentions[one], words[one]))

    def distance(rare: int, frequent: int) -> int:
        differing = sum(mine != theirs for mine, theirs in zip(words[rare], words[frequent], strict=True))
        return differing if differing <= 1 else 0

    found = dict(find_misspellings(order, lambda one: ("all", len(words[one])), mentions.__getitem__, distance))
    assert found
    assert not found.keys() & set(found.values())


def test_a_block_of_any_size_is_compared_with_its_most_mentioned_names_only() -> None:
    asked: list[tuple[int, int]] = []

    def distance(rare: int, frequent: int) -> int:
        asked.append((rare, frequent))
        return 0

    find_misspellings(range(1000), lambda _: ("one block",), lambda one: 10**9 >> (one // 30), distance)
    assert {frequent for _, frequent in asked} <= set(range(MAX_COMPARED))
    assert len(asked) <= 1000 * MAX_COMPARED


def test_sets_are_one_whatever_the_order_in_which_they_are_joined(chance: random.Random) -> None:
    pairs = [(chance.randrange(200), chance.randrange(200)) for _ in range(150)]
    found = []
    for _ in range(3):
        clusters = Clusters(200, lambda *_: True)
        assert all(clusters.join(one, other) for one, other in pairs)
        found.append(sorted(tuple(sorted(one)) for one in clusters.sets()))
        assert all(clusters.find(one) == min(clusters.members(one)) for one in range(200))
        chance.shuffle(pairs)
    assert found[0] == found[1] == found[2]
    assert sorted(member for one in found[0] for member in one) == list(range(200))


def test_sets_never_hold_two_that_contradict_each_other(chance: random.Random) -> None:
    clusters = Clusters(100, lambda one, other: abs(one - other) % 7 != 3)
    for _ in range(2000):
        one, other = chance.randrange(100), chance.randrange(100)
        assert clusters.join(one, other) == (clusters.find(one) == clusters.find(other))
    for members in clusters.sets():
        assert all(abs(one - other) % 7 != 3 for one in members for other in members)


def test_a_set_stops_growing() -> None:
    clusters = Clusters(MAX_MEMBERS + 1, lambda *_: True)
    assert all(clusters.join(0, other) for other in range(1, MAX_MEMBERS))
    assert not clusters.join(0, MAX_MEMBERS)


@pytest.mark.parametrize("words", [OPEN, APART], ids=["names at hand", "names kept apart"])
def test_precision_and_recall_are_high_enough(chance: random.Random, words: WordLists) -> None:
    run = GeneratedRun(chance.randrange(2**32), words, 4000)
    made = list(run)
    pairs = [(one.truth, one.normalised) for one in made]
    found = resolved(made)
    scores = [
        measure((one.truth, (one.kind, found[one.kind, one.normalised][1])) for one in made)
        for measure in (pairwise, b_cubed)
    ]
    for score, before in zip(scores, (pairwise(pairs), b_cubed(pairs)), strict=True):
        assert score.precision >= 0.90, score
        assert score.recall >= 0.85, score
        assert score.recall > before.recall + 0.1, "better than by equal names alone"


def test_scores_are_what_they_are_defined_as() -> None:
    pairs = [("a", 1), ("a", 1), ("a", 2), ("b", 2), ("b", 2)]
    assert pairwise(pairs) == Score(2 / 4, 2 / 4)
    assert b_cubed(pairs).precision == pytest.approx((1 + 1 + 1 / 3 + 2 / 3 + 2 / 3) / 5)
    assert b_cubed(pairs).recall == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1 + 1) / 5)
    assert Score(0.5, 1.0).f1 == pytest.approx(2 / 3)


@pytest.mark.parametrize("count", [0, 1, ROWS, ROWS + 1])
def test_rows_arrive_as_they_were_sent(count: int) -> None:
    rows = [(number, "näme", None, 0.5) for number in range(count)]
    stream = io.BytesIO(b"".join(map(pack, split_into_blocks(rows))))
    assert list(read_rows(stream)) == rows
    assert not stream.read()
