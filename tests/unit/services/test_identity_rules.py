"""Examples of names that belong to the same identity, and of names that never do."""

import pytest

from perdure.services.identity.names import Name, fold
from perdure.services.identity.person import Person, compatible, parse_person
from perdure.services.identity.resolution import Resolution
from perdure.services.identity.spelling import count_edits


def identities(kind: str, *names: str, together: tuple[tuple[str, str], ...] = ()) -> set[frozenset[str]]:
    """Resolve names of a kind, and return a set of surfaces for each identity.

    Args:
        kind: the kind of the names.
        names: surfaces, each of them alone or as "surface*count" with the number of its mentions.
        together: the pairs of surfaces that share a document.
    """
    counted = {name.partition("*")[0]: name.partition("*")[2] or "1" for name in names}
    surfaces = sorted(counted, key=folded_key)
    number = {surface: index for index, surface in enumerate(surfaces)}
    rows = [(number[surface], folded_key(surface), surface, int(counted[surface])) for surface in surfaces]
    resolution = Resolution(kind, rows)
    company = {tuple(sorted((number[left], number[right]))) for left, right in together}
    resolution.add_counts(
        [
            (short, other, 1 if short == other or tuple(sorted((short, other))) in company else 0)
            for short, other in resolution.pairs()
        ]
    )
    canonical = {index: index for index in number.values()}
    canonical |= {joined: head for joined, head, _, _ in resolution.joins()}
    return {
        frozenset(surfaces[index] for index, head in canonical.items() if head == wanted)
        for wanted in set(canonical.values())
    }


def folded_key(surface: str) -> str:
    """Return the normalised form of a surface: case folded, without full stops."""
    return surface.casefold().replace(".", "")


SAME_PERSON = {
    "initials": ["Charles Babbage*3", "C. Babbage"],
    "glued initials": ["Jane K. Rowling", "JK Rowling"],
    "a last name": ["Charles Babbage*3", "Babbage"],
    "a middle name": ["Charles Babbage", "Charles H. Babbage", "Charles Henry Babbage"],
    "accents": ["José Núñez", "Jose Nunez"],
    "letters without a decomposition": ["Søren Łukasz", "Soren Lukasz"],
    "a hyphen": ["Anne Smith-Jones", "Anne Smithjones"],
    "a typing error in the last name": ["Charles Babbage*3", "Charles Babbge"],
    "a typing error in the first name": ["Charles Babbage*3", "Chalres Babbage"],
    "a typing error in a lone last name": ["Charles Babbage*3", "Babbgae"],
    "a typing error beside an initial": ["Charles Babbage*3", "C. Babage"],
    "particles": ["Ludwig van Beethoven*2", "L. van Beethoven"],
    "a generation": ["Juan de la Vega", "Juan de la Vega Jr"],
}


@pytest.mark.parametrize("names", SAME_PERSON.values(), ids=SAME_PERSON.keys())
def test_names_of_a_person_join_despite(names: list[str]) -> None:
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
def test_names_of_people_stay_apart_for(names: list[str]) -> None:
    assert all(len(identity) == 1 for identity in identities("person", *names))


def test_ambiguous_name_is_its_own_identity() -> None:
    names = ("John Smith", "Jane Smith", "J. Smith", "Smith")
    assert identities("person", *names) == {frozenset({name}) for name in names}


def test_ambiguous_name_joins_the_person_of_its_documents() -> None:
    resolved = identities("person", "John Smith", "Jane Smith", "Smith", together=(("Smith", "Jane Smith"),))
    assert resolved == {frozenset({"John Smith"}), frozenset({"Jane Smith", "Smith"})}


def test_first_name_joins_a_person_of_the_same_document_only() -> None:
    names = ("Ada Lovelace", "Charles Babbage", "Ada")
    assert frozenset({"Ada"}) in identities("person", *names)
    assert frozenset({"Ada", "Ada Lovelace"}) in identities("person", *names, together=(("Ada", "Ada Lovelace"),))


def test_chain_of_similar_names_does_not_join_different_people() -> None:
    """Each name resembles the next by an initial, a missing middle name or a typing error."""
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
        assert all(compatible(left, right) for left in people for right in people), identity


SAME_ORGANISATION = {
    "legal forms": ["Harbour & Finch", "Harbour and Finch GmbH"],
    "abbreviated words": ["Intl Widget Assn", "International Widget Association"],
    "a space": ["Micro Soft", "Microsoft*3"],
    "a typing error": ["Royal Society*3", "Royal Socety"],
    "a generic end": ["Acme", "Acme Holdings"],
    "a long acronym": ["NASA*3", "National Aeronautics and Space Administration"],
}


@pytest.mark.parametrize("names", SAME_ORGANISATION.values(), ids=SAME_ORGANISATION.keys())
def test_names_of_an_organisation_join_despite(names: list[str]) -> None:
    assert len(identities("organisation", *names)) == 1


OTHER_ORGANISATIONS = {
    "a number": ["Route 66 Motors*9", "Route 67 Motors"],
    "two longer names": ["Acme", "Acme Holdings", "Acme Systems"],
    "two names with the same acronym": [
        "NASA",
        "National Aeronautics and Space Administration",
        "North Atlantic Salt Authority",
    ],
    "an acronym in small letters": ["Nasa", "National Aeronautics and Space Administration"],
    "a first letter": ["Bank of Austria*9", "Tank of Austria"],
}


@pytest.mark.parametrize("names", OTHER_ORGANISATIONS.values(), ids=OTHER_ORGANISATIONS.keys())
def test_names_of_organisations_stay_apart_for(names: list[str]) -> None:
    assert all(len(identity) == 1 for identity in identities("organisation", *names))


def test_short_acronym_joins_a_name_of_the_same_document_only() -> None:
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
def test_places_join_if_only_their_spelling_differs(names: list[str], count: int) -> None:
    assert len(identities("place", *names)) == count


def test_misspelling_is_rarer_than_the_right_name() -> None:
    assert len(identities("place", "London*3", "Londno*2")) == 2


def test_simple_names_are_parsed_as_by_the_library() -> None:
    assert parse_person("charles henry babbage") == Person("charles", ("henry",), "babbage")
    assert parse_person("dr charles henry babbage") == parse_person("charles henry babbage")
    assert parse_person("juan de la vega jr") == Person("juan", (), "delavega", "jr")


@pytest.mark.parametrize("name", ["", "-", "x" * 200, "a " * 11, "agent 7"])
def test_text_that_is_no_personal_name_is_not_parsed(name: str) -> None:
    assert parse_person(name) is None


@pytest.mark.parametrize(
    ("rare", "frequent", "edits"),
    [("babage", "babbage", 1), ("chalres", "charles", 1), ("wilhelmstrase", "wilhelmstrasse", 1), ("jon", "john", 0),
     ("cabbage", "babbage", 0), ("babbage", "babbage", 0), ("bxbbxge", "babbage", 0)],
)  # fmt: skip
def test_count_edits_accepts_small_edits_after_the_first_letter(rare: str, frequent: str, edits: int) -> None:
    assert count_edits(rare, frequent) == edits


def test_fold_removes_case_and_accents() -> None:
    assert fold("ŁÓDŹ Straße Æsir São") == "lodz strasse aesir sao"


def test_most_mentioned_name_has_the_smallest_weight() -> None:
    names = [Name(0, "b", "B", 2), Name(1, "a", "A", 2), Name(2, "c", "C", 1)]
    assert min(names, key=lambda name: name.weight).number == 1
