"""Properties of every resolution: no dependence on order, no contradictions, good scores."""

import io
import os
import random
from collections import defaultdict

import pytest

from perdure.sandbox.computation.exchange import ROWS, pack, read_rows, split_into_blocks
from perdure.services.identity import person_spelling
from perdure.services.identity.clusters import MAX_MEMBERS, Clusters
from perdure.services.identity.names import AMBIGUOUS, SCORES
from perdure.services.identity.person import Person, compatible, parse_person
from perdure.services.identity.resolution import Resolution
from perdure.services.identity.spelling import MAX_COMPARED, end_blocks, find_misspellings
from tests.identities.generated import GeneratedRun
from tests.identities.resolved import resolve
from tests.identities.scores import Score, b_cubed, pairwise
from tests.identities.word_lists import APART, OPEN, WordLists


@pytest.fixture
def random_numbers() -> random.Random:
    """A random generator; the test prints its seed."""
    seed = int(os.environ.get("PERDURE_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"PERDURE_TEST_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def run(random_numbers: random.Random) -> GeneratedRun:
    """Return a generated run of 3,000 mentions, of which a tenth are misspelt."""
    return GeneratedRun(random_numbers.randrange(2**32), OPEN, 3000, typing_errors=0.1)


def test_identities_do_not_depend_on_order_of_mentions(random_numbers: random.Random, run: GeneratedRun) -> None:
    mentions = list(run)
    expected = resolve(mentions)
    assert any(rule == "typing_error" for _, _, rule, _ in expected.values())
    for _ in range(3):
        random_numbers.shuffle(mentions)
        assert resolve(mentions) == expected


@pytest.mark.parametrize("kind", ["person", "organisation", "place"])
def test_joins_do_not_depend_on_order_of_rows(random_numbers: random.Random, run: GeneratedRun, kind: str) -> None:
    rows = [
        (number, normalised, normalised.title(), random_numbers.randint(1, 9))
        for number, normalised in enumerate(sorted({mention.normalised for mention in run if mention.kind == kind}))
    ]
    results = []
    for _ in range(3):
        resolution = Resolution(kind, rows)
        pairs = list(resolution.pairs())
        resolution.add_counts(
            [(short, other, 1 + (short * other) % 3) for short, other in random_numbers.sample(pairs, len(pairs))]
        )
        results.append((pairs, sorted(resolution.joins())))
        random_numbers.shuffle(rows)
    assert results[0] == results[1] == results[2]


def test_canonical_name_is_its_own_canonical_name(run: GeneratedRun) -> None:
    names = resolve(run)
    for (kind, normalised), (_, canonical, rule, score) in names.items():
        assert names[kind, canonical][1] == canonical
        assert score == SCORES[rule]
        if rule in ("same_name", AMBIGUOUS):
            assert canonical == normalised


def test_canonical_names_stay_apart_when_resolved_alone(run: GeneratedRun) -> None:
    """Up to 1 in 20 names joins another: counts and ambiguity depend on the names left out."""
    mentions = list(run)
    names = resolve(mentions)
    heads = [mention for mention in mentions if names[mention.kind, mention.normalised][1] == mention.normalised]
    again = resolve(heads)
    assert heads
    assert sum(canonical != name for (_, name), (_, canonical, _, _) in again.items()) <= len(again) // 20


def test_names_of_a_person_do_not_contradict_each_other(run: GeneratedRun) -> None:
    members = defaultdict(list)
    for (kind, name), (_, canonical, rule, _) in resolve(run).items():
        if kind == "person" and rule not in ("typing_error", "first_name") and (person := parse_person(name)):
            members[canonical].append(person)
    assert max(map(len, members.values())) > 2
    for people in members.values():
        relatives = [person for person in people if person.last == people[0].last]
        assert all(compatible(former, latter) for former in relatives for latter in relatives), people


def test_misspelt_names_do_not_chain_two_right_names(random_numbers: random.Random) -> None:
    """Each word of the chain is one edit from the next word; only direct neighbours join."""
    words = ["a" * 8]
    while len(words) < 300:
        at = random_numbers.randrange(1, 8)
        words.append(words[-1][:at] + random_numbers.choice("bcdefg") + words[-1][at + 1 :])
    words = sorted(set(words))
    mentions = [random_numbers.randint(1, 100) for _ in words]
    order = sorted(range(len(words)), key=lambda number: (-mentions[number], words[number]))

    def distance(rare: int, frequent: int) -> int:
        differing = sum(left != right for left, right in zip(words[rare], words[frequent], strict=True))
        return differing if differing <= 1 else 0

    misspellings = dict(
        find_misspellings(order, lambda number: ("all", len(words[number])), mentions.__getitem__, distance)
    )
    assert misspellings
    assert not misspellings.keys() & set(misspellings.values())


def test_block_is_compared_with_its_most_mentioned_names_only() -> None:
    compared: list[tuple[int, int]] = []

    def distance(rare: int, frequent: int) -> int:
        compared.append((rare, frequent))
        return 0

    find_misspellings(range(1000), lambda _: ("the block",), lambda number: 10**9 >> (number // 30), distance)
    assert {frequent for _, frequent in compared} <= set(range(MAX_COMPARED))
    assert len(compared) <= 1000 * MAX_COMPARED


def test_last_name_is_compared_with_few_known_last_names(monkeypatch: pytest.MonkeyPatch) -> None:
    letters = "bcdfghjklmnpqrst"
    known = [Person("ada", (), f"abcd{a}{b}{c}wxyz") for a in letters for b in letters for c in letters[:4]]
    lone = [Person("", (), "abcdeeewxyz")]
    compared: list[str] = []

    def count_edits(_last: str, other: str, _shortest: int) -> int:
        compared.append(other)
        return 0

    monkeypatch.setattr(person_spelling, "count_edits", count_edits)
    person_spelling.find_misspelt_last_names([*known, *lone], [100] * len(known) + [1])
    assert 0 < len(compared) <= MAX_COMPARED * len(end_blocks(lone[0].last))


def test_clusters_do_not_depend_on_order_of_joins(random_numbers: random.Random) -> None:
    pairs = [(random_numbers.randrange(200), random_numbers.randrange(200)) for _ in range(150)]
    results = []
    for _ in range(3):
        clusters = Clusters(200, lambda *_: True)
        assert all(clusters.join(left, right) for left, right in pairs)
        results.append(sorted(tuple(sorted(members)) for members in clusters.sets()))
        assert all(clusters.find(number) == min(clusters.members(number)) for number in range(200))
        random_numbers.shuffle(pairs)
    assert results[0] == results[1] == results[2]
    assert sorted(number for members in results[0] for number in members) == list(range(200))


def test_cluster_never_holds_incompatible_members(random_numbers: random.Random) -> None:
    clusters = Clusters(100, lambda left, right: abs(left - right) % 7 != 3)
    for _ in range(2000):
        left = random_numbers.randrange(100)
        right = random_numbers.randrange(100)
        assert clusters.join(left, right) == (clusters.find(left) == clusters.find(right))
    for members in clusters.sets():
        assert all(abs(left - right) % 7 != 3 for left in members for right in members)


def test_full_cluster_refuses_another_member() -> None:
    clusters = Clusters(MAX_MEMBERS + 1, lambda *_: True)
    assert all(clusters.join(0, other) for other in range(1, MAX_MEMBERS))
    assert not clusters.join(0, MAX_MEMBERS)


@pytest.mark.parametrize("words", [OPEN, APART], ids=["names for development", "names kept apart"])
def test_precision_and_recall_exceed_their_limits(random_numbers: random.Random, words: WordLists) -> None:
    run = GeneratedRun(random_numbers.randrange(2**32), words, 4000)
    mentions = list(run)
    pairs = [(mention.truth, mention.normalised) for mention in mentions]
    names = resolve(mentions)
    identities = [(mention.truth, (mention.kind, names[mention.kind, mention.normalised][1])) for mention in mentions]
    scores = [measure(identities) for measure in (pairwise, b_cubed)]
    for score, before in zip(scores, (pairwise(pairs), b_cubed(pairs)), strict=True):
        assert score.precision >= 0.90, score
        assert score.recall >= 0.85, score
        assert score.recall > before.recall + 0.1, "the rules must find more than equal names alone"


def test_scores_follow_their_definitions() -> None:
    pairs = [("a", 1), ("a", 1), ("a", 2), ("b", 2), ("b", 2)]
    assert pairwise(pairs) == Score(2 / 4, 2 / 4)
    assert b_cubed(pairs).precision == pytest.approx((1 + 1 + 1 / 3 + 2 / 3 + 2 / 3) / 5)
    assert b_cubed(pairs).recall == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1 + 1) / 5)
    assert Score(0.5, 1.0).f1 == pytest.approx(2 / 3)


@pytest.mark.parametrize("count", [0, 1, ROWS, ROWS + 1])
def test_packed_rows_are_read_back_equal(count: int) -> None:
    rows = [(number, "näme", None, 0.5) for number in range(count)]
    stream = io.BytesIO(b"".join(map(pack, split_into_blocks(rows))))
    assert list(read_rows(stream)) == rows
    assert not stream.read()
