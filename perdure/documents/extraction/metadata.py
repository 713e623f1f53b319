"""Brings authors, dates and language into one form; each format writes them in its own way."""

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from email.utils import getaddresses
from typing import Any

from dateutil import parser

from perdure.analysis.language import detected_language, iso_language

MAX_AUTHORS = 100
MAX_AUTHOR_CHARACTERS = 200
_MAX_DATE_CHARACTERS = 64
_AUTHORS = ("authors", "author", "from", "created_by")
_CREATED = ("created", "created_at", "date")
_MODIFIED = ("modified", "modified_at")
_PDF_DATE = re.compile(
    r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(?:(\d\d)(\d\d)?(\d\d)?)?\s*(?:([Zz])|([+-])(\d\d)'?(?:(\d\d)'?)?)?.*"
)
_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_FIRST_YEAR = 1000
# The parser fills a missing part of a date from its default: two defaults that differ show that a part is missing.
_DEFAULTS = (datetime(2000, 1, 1), datetime(2001, 2, 2))  # noqa: DTZ001 - never leave the parser
_COMMENT = re.compile(r"\([^()]*\)")
# Programs write these words into the property that should hold the author's name.
_NO_AUTHOR = frozenset(("unknown", "anonymous", "(anonymous)", "unspecified", "(unspecified)", "user", "admin", "none"))


@dataclass(frozen=True, slots=True)
class Metadata:
    """Authors, dates and language of a document.

    `ProcessedDocument` has fields of the same names, and describes them.
    """

    authors: tuple[str, ...] = ()
    created: str | None = None
    modified: str | None = None
    language: str | None = None


def metadata_of(properties: Mapping[str, Any], text: str) -> Metadata:
    """Return authors, dates and language of a document.

    The language is detected in the text if the properties declare none.

    Args:
        properties: the properties of the document, as an extractor returned them.
        text: text of the document.
    """
    return Metadata(
        _read_authors(properties),
        _find_first_date(properties, _CREATED),
        _find_first_date(properties, _MODIFIED),
        iso_language(str(properties.get("language") or "")) or detected_language(text),
    )


def _read_authors(properties: Mapping[str, Any]) -> tuple[str, ...]:
    for key in _AUTHORS:
        value = properties.get(key)
        values = [str(element) for element in value] if isinstance(value, list | tuple) else [str(value or "")]
        names = _list_senders(values) if key == "from" else [part for written in values for part in written.split(";")]
        if authors := tuple(dict.fromkeys(_tidy_names(names)))[:MAX_AUTHORS]:
            return authors
    return ()


def _list_senders(values: list[str]) -> list[str]:
    """Return the name of each sender of a mail, or the address of a sender without a name."""
    return [name or address for name, address in getaddresses(values)]


def _tidy_names(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        tidy = " ".join(name.split())[:MAX_AUTHOR_CHARACTERS]
        if tidy and tidy.casefold() not in _NO_AUTHOR and any(character.isalnum() for character in tidy):
            yield tidy


def _find_first_date(properties: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((date for key in keys if (date := iso_date(str(properties.get(key) or "")))), None)


def iso_date(value: str) -> str | None:
    """Return a date as `YYYY-MM-DDTHH:MM:SSZ`, or as `YYYY-MM-DD` if it has no offset.

    The result is None if the text is no whole date.
    """
    value = value.strip()[:_MAX_DATE_CHARACTERS]
    try:
        date = _parse_pdf_date(value) or _parse_written_date(value)
        if date is None or date.year < _FIRST_YEAR:
            return None
        if date.tzinfo is None:
            return date.strftime("%Y-%m-%d")
        return date.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError):
        return None


def _parse_pdf_date(value: str) -> datetime | None:
    """Parse a date of a PDF, such as `D:20240305101500+01'00'`.

    A part that is missing on the right gets its lowest value.
    """
    match = _PDF_DATE.fullmatch(value) if value.startswith("D:") or value[:8].isdecimal() else None
    if match is None:
        return None
    year, month, day, hour, minute, second, zulu, sign, hours, minutes = match.groups()
    offset: tzinfo | None = UTC if zulu else None
    if sign:
        ahead = timedelta(hours=int(hours), minutes=int(minutes or 0))
        offset = timezone(ahead if sign == "+" else -ahead)
    return datetime(
        int(year),
        int(month or 1),
        int(day or 1),
        int(hour or 0),
        int(minute or 0),
        min(int(second or 0), 59),
        tzinfo=offset if hour else None,
    )


def _parse_written_date(value: str) -> datetime | None:
    if not any(character.isdigit() for character in value):
        return None
    if _ISO_DAY.fullmatch(value):
        return datetime.strptime(value, "%Y-%m-%d")  # noqa: DTZ007 - a day has no zone
    plain = _COMMENT.sub("", value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        both = [parser.parse(plain, default=default, tzinfos=_find_zone) for default in _DEFAULTS]
    return both[0] if both[0] == both[1] else None


def _find_zone(name: str | None, offset_seconds: int | None) -> tzinfo | None:
    """Return a zone by its offset, never by a name of this machine's own zone."""
    if offset_seconds is not None:
        return timezone(timedelta(seconds=offset_seconds))
    return UTC if name in ("Z", "UTC", "GMT", "UT") else None
