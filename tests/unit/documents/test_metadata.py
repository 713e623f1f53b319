"""Authors, dates and languages of all formats come in one form."""

import pytest

from perdure.documents.extraction.metadata import iso_date, metadata_of

GERMAN = "Die Miete der Lagerhalle steigt im nächsten Jahr, schrieb das Hafenamt allen Mietern am östlichen Kai. " * 3
ENGLISH = "The harbour office wrote to every tenant on the east quay that the rent of the warehouse would rise. " * 3


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("D:20240305101500+01'00'", "2024-03-05T09:15:00Z"),
        ("D:20240305101500Z", "2024-03-05T10:15:00Z"),
        ("D:20240305101500Z00'00'", "2024-03-05T10:15:00Z"),
        ("D:20240305101500-0330", "2024-03-05T13:45:00Z"),
        ("D:20240305101500", "2024-03-05"),
        ("D:2024", "2024-01-01"),
        ("20240305", "2024-03-05"),
        ("2024-03-05T10:00:00Z", "2024-03-05T10:00:00Z"),
        ("2024-03-05T10:00:00.123+02:00", "2024-03-05T08:00:00Z"),
        ("2024-03-05T10:00:00", "2024-03-05"),
        ("2024-03-05", "2024-03-05"),
        ("Tue, 05 Mar 2024 10:00:00 +0000 (GMT)", "2024-03-05T10:00:00Z"),
        ("Tue, 05 Mar 2024 10:00:00 -0800 (PST)", "2024-03-05T18:00:00Z"),
        ("5 March 2024", "2024-03-05"),
        ("March 2024", None),
        ("10:00", None),
        ("never", None),
        ("", None),
        ("D:99999999999999", None),
        ("0001-01-01T00:00:00Z", None),
        ("2024-13-45", None),
        ("9" * 5000, None),
    ],
)
def test_date_becomes_an_instant_in_utc_a_day_or_nothing(written: str, expected: str | None) -> None:
    assert iso_date(written) == expected


def test_zone_by_name_is_never_looked_up_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for zone in ("America/New_York", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        assert iso_date("Tue, 05 Mar 2024 23:00:00 EST") == "2024-03-05"


def test_author_is_listed_once_and_placeholders_are_left_out() -> None:
    assert metadata_of({"authors": ["Ann B;  Carl\nD", "Ann B"]}, "").authors == ("Ann B", "Carl D")
    assert metadata_of({"from": '"Nowak, Clara" <c@x.example>, bo@y.example'}, "").authors == (
        "Nowak, Clara",
        "bo@y.example",
    )
    assert metadata_of({"author": "(anonymous)", "created_by": "Ann"}, "").authors == ("Ann",)
    assert metadata_of({"author": " ; - "}, "").authors == ()


def test_declared_language_wins_over_the_detected_one() -> None:
    assert metadata_of({"language": "fr-CA"}, GERMAN).language == "fr"
    assert metadata_of({"language": "deu"}, ENGLISH).language == "de"
    for nothing in ("", "und", "x-none", "zxx", "C"):
        assert metadata_of({"language": nothing}, GERMAN).language == "de"
    assert metadata_of({}, ENGLISH).language == "en"
    assert metadata_of({}, "Rent 2024").language is None
    assert metadata_of({}, "12 34 56 " * 100).language is None
