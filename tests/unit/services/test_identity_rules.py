"""Which names are one identity and which never are, by example."""

import pytest

from perdure.services.identity.names import Name, fold
from perdure.services.identity.person import Person, compatible, parse_person
from perdure.services.identity.resolution import Resolution
from perdure.services.identity.spelling import count_edits


def identities(kind: str, *names: str, together: tuple[tuple[str, str], ...] = ()) -> set[frozenset[str]]:
    """Names written as "Surface*mentions"; those of one identity are in one set.

    `together` are the names that share a document; every name is in one document for each of them, and one at least.
    """
    counted = {name.partition("*")[0]: name.partition("*")[2] or "1" for name in names}
    surfaces = sorted(counted, key=folded_key)
    number = {surface: index for index, surface in enumerate(surfaces)}
    rows = [(number[one], folded_key(one), one, int(counted[one])) for one in surfaces]
    resolution = Resolution(kind, rows)
    company = {tuple(sorted((number[one], number[other]))) for one, other in together}
    resolution.add_counts(
        [
            (short, other, 1 if short == other or tuple(sorted((short, other))) in company else 0)
            for short, other in resolution.pairs()
        ]
    )
    canonical = {index: index for index in number.values()}
    canonical |= {one: head for one, head, _, _ in resolution.joins()}
    return {
        frozenset(surfaces[one] for one, head in canonical.items() if head == wanted)
        for wanted in set(canonical.values())
    }


def folded_key(surface: str) -> str:
    return surface.casefold().replace(".", "")


SAME_PERSON = {
    "initials": ["Charles Babbage*3", "C. Babbage"],
    "glued initials": ["Jane K. Rowling", "JK Rowling"],
    "a last name": ["Charles Babbage*3", "Babbage"],
    "a middle name": ["Charles Babbage", "Charles H. Babbage", "Charles Henry Babbage"],
    "accents": ["José Núñez", "Jose Nunez"],
    "letters that decompose into nothing": ["Søren Łukasz", "Soren Lukasz"],
    "a hyphen": ["Anne Smith-Jones", "Anne Smithjones"],
    "a count_edits in the last name": ["Charles Babbage*3", "Charles Babbge"],
    "a count_edits in the first name": ["Charles Babbage*3", "Chalres Babbage"],
    "a count_edits in a lone last name": ["Charles Babbage*3", "Babbgae"],
    "a count_edits beside an initial": ["Charles Babbage*3", "C. Babage"],
    "particles": ["Ludwig van Beethoven*2", "L. van Beethoven"],
    "a generation": ["Juan de la Vega", "Juan de la Vega Jr"],
}


@pytest.mark.parametrize("names", SAME_PERSON.values(), ids=SAME_PERSON.keys())
def test_one_person_is_one_identity_in_spite_of(names: list[str]) -> None:
    assert len(identities("person", *names)) == 1


OTHER_PEOPLE = {
    "another first name": ["Charles Babbage", "George Babbage"],
    "a first name one letter away": ["Mario Rossi*9", "Maria Rossi"],
    "two real names one letter away": ["Eric Andersen*9", "Erin Andersen"],
    "other initials": ["C. Babbage", "G. Babbage"],
    "other middle names": ["John Quincy Smith", "John Robert Smith"],
    "other generations": ["John Smith Jr", "John Smith Sr"],
    "two last names that others have": ["John Hansen*9", "Mary Hansen", "John Hanson", "Mary Hanson"],
    "digits": ["Agent 007*9", "Agent 008"],
}


@pytest.mark.parametrize("names", OTHER_PEOPLE.values(), ids=OTHER_PEOPLE.keys())
def test_people_are_kept_apart_by(names: list[str]) -> None:
    assert all(len(one) == 1 for one in identities("person", *names))


def test_a_name_that_may_mean_two_people_stays_alone() -> None:
    found = identities("person", "John Smith", "Jane Smith", "J. Smith", "Smith")
    assert found == {frozenset({one}) for one in ("John Smith", "Jane Smith", "J. Smith", "Smith")}


def test_a_name_that_may_mean_two_people_means_the_one_in_its_documents() -> None:
    found = identities("person", "John Smith", "Jane Smith", "Smith", together=(("Smith", "Jane Smith"),))
    assert found == {frozenset({"John Smith"}), frozenset({"Jane Smith", "Smith"})}


def test_a_first_name_alone_means_its_bearer_only_in_the_same_document() -> None:
    names = ("Ada Lovelace", "Charles Babbage", "Ada")
    assert frozenset({"Ada"}) in identities("person", *names)
    assert frozenset({"Ada", "Ada Lovelace"}) in identities("person", *names, together=(("Ada", "Ada Lovelace"),))


def test_a_chain_of_likenesses_does_not_glue_strangers_together() -> None:
    """Each is like the next: by an initial, a missing middle name, a count_edits."""
    names = [
        "Anna Berger*8",
        "A. Berger*4",
        "Albert Berger*8",
        "A. M. Berger*3",
        "Anna Maria Berger*2",
        "Albert M. Berger",
    ]
    for identity in identities(
        "person", *names, together=(("A. Berger", "Anna Berger"), ("A. Berger", "Albert Berger"))
    ):
        people = [person for name in identity if (person := parse_person(folded_key(name)))]
        assert all(compatible(one, other) for one in people for other in people), identity


SAME_ORGANISATION = {
    "legal forms": ["Harbour & Finch", "Harbour and Finch GmbH"],
    "abbreviated words": ["Intl Widget Assn", "International Widget Association"],
    "a space": ["Micro Soft", "Microsoft*3"],
    "a count_edits": ["Royal Society*3", "Royal Socety"],
    "a generic end": ["Acme", "Acme Holdings"],
    "a long acronym": ["NASA*3", "National Aeronautics and Space Administration"],
}


@pytest.mark.parametrize("names", SAME_ORGANISATION.values(), ids=SAME_ORGANISATION.keys())
def test_one_organisation_is_one_identity_in_spite_of(names: list[str]) -> None:
    assert len(identities("organisation", *names)) == 1


OTHER_ORGANISATIONS = {
    "a number": ["Route 66 Motors*9", "Route 67 Motors"],
    "two longer names": ["Acme", "Acme Holdings", "Acme Systems"],
    "two that one acronym fits": [
        "NASA",
        "National Aeronautics and Space Administration",
        "North Atlantic Salt Authority",
    ],
    "an acronym in small letters": ["Nasa", "National Aeronautics and Space Administration"],
    "a first letter": ["Bank of Austria*9", "Tank of Austria"],
}


@pytest.mark.parametrize("names", OTHER_ORGANISATIONS.values(), ids=OTHER_ORGANISATIONS.keys())
def test_organisations_are_kept_apart_by(names: list[str]) -> None:
    assert all(len(one) == 1 for one in identities("organisation", *names))


def test_a_short_acronym_needs_a_document_that_has_both() -> None:
    names = ("IBM*3", "International Business Machines")
    assert len(identities("organisation", *names)) == 2
    assert len(identities("organisation", *names, together=(("IBM", "International Business Machines"),))) == 1


@pytest.mark.parametrize(
    ("names", "count"),
    [
        (["St. Louis", "Saint Louis"], 1),
        (["United States*9", "USA", "U.S."], 1),
        (["Zürich*3", "Zurich"], 1),
        (["London*9", "Londno"], 1),
        (["North Saltmere*9", "South Saltmere"], 2),
        (["Austria*9", "Australia"], 2),
        (["Iran*9", "Iraq"], 2),
    ],
)
def test_places_are_one_when_only_their_spelling_differs(names: list[str], count: int) -> None:
    assert len(identities("place", *names)) == count


def test_a_misspelling_is_rarer_than_what_it_misspells() -> None:
    assert len(identities("place", "London*3", "Londno*2")) == 2


def test_a_name_is_read_the_same_by_the_quick_way_and_by_the_library() -> None:
    assert parse_person("charles henry babbage") == Person("charles", ("henry",), "babbage")
    assert parse_person("dr charles henry babbage") == parse_person("charles henry babbage")
    assert parse_person("juan de la vega jr") == Person("juan", (), "delavega", "jr")


@pytest.mark.parametrize("name", ["", "-", "x" * 200, "a " * 11, "agent 7"])
def test_what_is_no_name_of_a_person_is_compared_with_nothing(name: str) -> None:
    assert parse_person(name) is None


@pytest.mark.parametrize(
    ("rare", "frequent", "edits"),
    [("babage", "babbage", 1), ("chalres", "charles", 1), ("wilhelmstrase", "wilhelmstrasse", 1), ("jon", "john", 0),
     ("cabbage", "babbage", 0), ("babbage", "babbage", 0), ("bxbbxge", "babbage", 0)],
)  # fmt: skip
def test_a_slip_of_the_pen_is_small_and_not_at_the_beginning(rare: str, frequent: str, edits: int) -> None:
    assert count_edits(rare, frequent) == edits


def test_folding_takes_case_and_accents_away() -> None:
    assert fold("ŁÓDŹ Straße Æsir São") == "lodz strasse aesir sao"


def test_the_heaviest_name_comes_first() -> None:
    assert min(Name(0, "b", "B", 2), Name(1, "a", "A", 2), Name(2, "c", "C", 1), key=lambda one: one.weight).number == 1
