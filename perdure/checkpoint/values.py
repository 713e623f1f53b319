"""The JSON form of values, equal in messages and in every store, so that digests agree."""

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator
from pydantic_core import to_jsonable_python

MAX_JSON_DEPTH = 64
"""Deepest nesting of JSON that a checkpoint may hold."""
MAX_INTEGER_DIGITS = 4000
"""Most digits of an integer: Python refuses to parse longer ones, which Postgres would store."""
_PAST_LARGEST = 10**MAX_INTEGER_DIGITS


def plain_json(value: Any, depth: int = 0) -> Any:
    """Return the same value made of JSON's own types, with numbers as Postgres keeps them.

    Args:
        value: anything that pydantic can turn into JSON.
        depth: the nesting around `value`, in levels.

    Raises:
        ValueError: no store can keep the value. It holds NUL, NaN, infinity, half of a surrogate pair, too deep
            nesting, or an integer with too many digits.
    """
    if depth > MAX_JSON_DEPTH:
        raise ValueError(f"JSON is nested more than {MAX_JSON_DEPTH} deep")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _check_text(value)
    if isinstance(value, (int, float)):
        return _simplify_number(value)
    if isinstance(value, dict):
        return {_check_text(_convert_key(key)): plain_json(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(item, depth + 1) for item in value]
    return plain_json(to_jsonable_python(value), depth + 1)


def _to_utc(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise ValueError("a time needs its zone")
    return time.astimezone(UTC)


def _check_text(text: str) -> str:
    if "\0" in text:
        raise ValueError("a text holds a NUL character, which Postgres cannot store")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("a text holds half of a surrogate pair, which is no Unicode") from None
    return str(text)


def _simplify_number(number: float) -> float | int:
    if isinstance(number, int):
        if abs(number) >= _PAST_LARGEST:
            raise ValueError(f"an integer has more than {MAX_INTEGER_DIGITS} digits")
        return int(number)
    if not math.isfinite(number):
        raise ValueError("JSON knows neither infinity nor NaN")
    written = float.__repr__(number)
    # Postgres keeps numbers as decimals: 1e+22 returns as an integer, and -0.0 without its sign.
    return int(Decimal(written)) if "e+" in written else float(written) or 0.0


def _convert_key(key: Any) -> str:
    return key if isinstance(key, str) else str(next(iter(to_jsonable_python({key: None}))))


Text = Annotated[str, AfterValidator(_check_text)]
"""A string that every store can keep."""
UtcTime = Annotated[datetime, AfterValidator(_to_utc)]
"""A moment with its zone, converted to UTC."""
JsonObject = Annotated[dict[str, Any], AfterValidator(plain_json)]
"""A JSON object in the form that `plain_json` gives it."""
