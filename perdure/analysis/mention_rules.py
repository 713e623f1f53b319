"""Finds dates, sums of money, e-mail addresses and identifiers by their written form."""

import re
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal

from perdure.analysis.annotations import Mention

_MONTH_NAMES = ("january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
                "september sep sept", "october oct", "november nov", "december dec")  # fmt: skip
_MONTHS = {name: number for number, names in enumerate(_MONTH_NAMES, start=1) for name in names.split()}
_MONTH = "(?:" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\.?"
_CURRENCIES = {"£": "GBP", "€": "EUR", "$": "USD", "¥": "JPY", "₹": "INR", "us$": "USD", "pound": "GBP",
               "pounds": "GBP", "pounds sterling": "GBP", "euro": "EUR", "euros": "EUR", "dollar": "USD",
               "dollars": "USD", "us dollars": "USD", "yen": "JPY", "francs": "CHF"}  # fmt: skip
_CODES = "GBP|EUR|USD|CHF|JPY|INR|CAD|AUD|SEK|NOK|DKK|PLN|CZK"
_SCALES = {"k": 1_000, "thousand": 1_000, "m": 1_000_000, "mn": 1_000_000, "million": 1_000_000,
           "bn": 1_000_000_000, "billion": 1_000_000_000}  # fmt: skip
# Every repetition is bounded, so that matching stays linear: a file may hold a megabyte of digits.
_AMOUNT = r"\d{1,3}(?:[ ,.'\u00a0\u202f]\d{3}){1,6}(?:[.,]\d{1,2})?|\d{1,15}(?:[.,]\d{1,2})?"
_SCALE = r"(?:\s?(?:million|billion|thousand|mn|bn|[mk])\b)?"
_MIN_YEAR = 1000
_MAX_YEAR = 2999

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"
)
_DAY_MONTH_YEAR = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({_MONTH}),? (\d{{4}})\b", re.IGNORECASE)
_MONTH_DAY_YEAR = re.compile(rf"\b({_MONTH}) (\d{{1,2}})(?:st|nd|rd|th)?,? (\d{{4}})\b", re.IGNORECASE)
_MONTH_YEAR = re.compile(rf"\b({_MONTH}),? (\d{{4}})\b", re.IGNORECASE)
_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})(?!\d)")
_NUMERIC = re.compile(r"(?<![\d./])(\d{1,2})([./])(\d{1,2})\2(\d{4})(?![\d/])")
_MONEY_BEFORE = re.compile(rf"(?:(us\$|[£€$¥₹])|\b({_CODES}))\s?({_AMOUNT})({_SCALE})", re.IGNORECASE)
_MONEY_AFTER = re.compile(
    rf"\b({_AMOUNT})({_SCALE})\s?"
    rf"(?:([£€¥₹])|({_CODES})\b|(pounds sterling|us dollars|pounds?|euros?|dollars?|yen|francs)\b)",
    re.IGNORECASE,
)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")
_REFERENCE = re.compile(r"\b[A-Z][A-Z&]{1,7}(?:[-/][A-Z0-9]{1,12}){0,4}[-/]\d{2,12}(?:[-/][A-Z0-9]{1,12}){0,4}\b")

_IDENTIFIER = "identifier"
_DATE = "date"
_MONEY = "money"


def find_written_forms(text: str) -> Iterator[Mention]:
    """Yield every match of every rule. Mentions may overlap each other."""
    for match in _EMAIL.finditer(text):
        yield _make_mention(match, "email", match.group().lower(), 0.99)
    for pattern, read in _DATE_FORMS:
        for match in pattern.finditer(text):
            if (day := read(match)) is not None:
                yield _make_mention(match, _DATE, day, 0.95)
    for match in _MONEY_BEFORE.finditer(text):
        symbol, code, amount, scale = match.groups()
        yield _make_mention(match, _MONEY, _normalise_money(amount, scale, _normalise_currency(symbol or code)), 0.95)
    for match in _MONEY_AFTER.finditer(text):
        amount, scale, symbol, code, word = match.groups()
        yield _make_mention(
            match, _MONEY, _normalise_money(amount, scale, _normalise_currency(symbol or code or word)), 0.95
        )
    for match in _IBAN.finditer(text):
        if _is_valid_iban(match.group().replace(" ", "")):
            yield _make_mention(match, _IDENTIFIER, match.group().replace(" ", ""), 0.99)
    for match in _REFERENCE.finditer(text):
        yield _make_mention(match, _IDENTIFIER, match.group(), 0.8)


def _make_mention(match: re.Match[str], kind: str, normalised: str, confidence: float) -> Mention:
    surface = match.group()
    end = match.end() - (len(surface) - len(surface.rstrip()))
    return Mention(match.start(), end, kind, surface.rstrip(), normalised, confidence)


def _format_date(year: str, month: int, day: str) -> str | None:
    try:
        parsed = date(int(year), month, int(day))
    except ValueError:
        return None
    return parsed.isoformat() if _MIN_YEAR <= parsed.year <= _MAX_YEAR else None


def _parse_month(name: str) -> int:
    return _MONTHS[name.lower().rstrip(".")]


def _parse_month_and_year(match: re.Match[str]) -> str | None:
    year = int(match[2])
    return f"{year:04}-{_parse_month(match[1]):02}" if _MIN_YEAR <= year <= _MAX_YEAR else None


def _parse_numeric_date(match: re.Match[str]) -> str | None:
    """Return the ISO date, with the day read first, or else with the month read first."""
    first, _, second, year = match.groups()
    return _format_date(year, int(second), first) or _format_date(year, int(first), second)


_DATE_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str | None]], ...] = (
    (_DAY_MONTH_YEAR, lambda match: _format_date(match[3], _parse_month(match[2]), match[1])),
    (_MONTH_DAY_YEAR, lambda match: _format_date(match[3], _parse_month(match[1]), match[2])),
    (_ISO, lambda match: _format_date(match[1], int(match[2]), match[3])),
    (_NUMERIC, _parse_numeric_date),
    (_MONTH_YEAR, _parse_month_and_year),
)


def _normalise_currency(name: str) -> str:
    return _CURRENCIES.get(name.lower(), name.upper())


def _normalise_money(amount: str, scale: str, currency: str) -> str:
    """Return currency, space and amount without separators: "GBP 1940000" or "EUR 12.50"."""
    digits = re.sub(r"[ '\u00a0\u202f]", "", amount)
    decimals = re.search(r"[.,](\d{1,2})$", digits)
    whole = re.sub(r"[.,]", "", digits[: decimals.start()] if decimals else digits)
    value = Decimal(f"{whole}.{decimals.group(1)}" if decimals else whole) * _SCALES.get(scale.strip().lower(), 1)
    return f"{currency} {int(value)}" if value == int(value) else f"{currency} {value:.2f}"


def _is_valid_iban(iban: str) -> bool:
    digits = "".join(str(int(character, 36)) for character in iban[4:] + iban[:4])
    return int(digits) % 97 == 1
