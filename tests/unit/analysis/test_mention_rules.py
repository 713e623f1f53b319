"""Rules find written forms, and equal mentions have one normalised form."""

import pytest

from perdure.analysis.mention_rules import find_written_forms


@pytest.mark.parametrize(
    ("text", "kind", "normalised"),
    [
        ("on 5 June 1833 in", "date", "1833-06-05"),
        ("on June 5th, 1833", "date", "1833-06-05"),
        ("on 1833-06-05", "date", "1833-06-05"),
        ("am 05.06.1833", "date", "1833-06-05"),
        ("since March 2024", "date", "2024-03"),
        ("on 2024-02-29", "date", "2024-02-29"),
        ("on 29.2.2024", "date", "2024-02-29"),
        ("on 3/14/2024", "date", "2024-03-14"),
        ("March 5th, 2024", "date", "2024-03-05"),
        ("the 1st of Sept. 1999", "date", "1999-09-01"),
        ("in May 2020", "date", "2020-05"),
        ("cost £1,940,000 in", "money", "GBP 1940000"),
        ("cost GBP 1.94 million", "money", "GBP 1940000"),
        ("kostet 12,50 € heute", "money", "EUR 12.50"),
        ("some 430,000 pounds sterling", "money", "GBP 430000"),
        ("EUR 1.250,50", "money", "EUR 1250.50"),
        ("12 million dollars", "money", "USD 12000000"),
        ("$1.5bn", "money", "USD 1500000000"),
        ("0.1 + £0.30", "money", "GBP 0.30"),
        ("write to Ada@Example.ORG.", "email", "ada@example.org"),
        ("IBAN GB82 WEST 1234 5698 7654 32 please", "identifier", "GB82WEST12345698765432"),
        ("contract HF-SHT-23/041", "identifier", "HF-SHT-23/041"),
        ("INV-00012/24", "identifier", "INV-00012/24"),
    ],
)
def test_written_form_is_found_and_normalised(text: str, kind: str, normalised: str) -> None:
    assert (kind, normalised) in [(mention.kind, mention.normalised) for mention in find_written_forms(text)]


@pytest.mark.parametrize(
    "text",
    [
        "on 2020-02-31",
        "30.02.2024",
        "2024-13-01",
        "99.99.2024",
        "10/2024",
        "GB00 WEST 1234 5698 7654 32",
        "version 1.2.3",
        "a@b",
    ],
)
def test_text_that_resembles_a_written_form_is_left_alone(text: str) -> None:
    assert [mention for mention in find_written_forms(text) if mention.kind != "money"] == []


@pytest.mark.parametrize("text", ["((" * 50_000, "a" * 200_000, "1 2" * 60_000, "AB-" * 60_000, "a@" * 60_000])
@pytest.mark.timeout(180)
def test_hostile_texts_are_searched_in_linear_time(text: str) -> None:
    assert len(list(find_written_forms(text))) == 0
