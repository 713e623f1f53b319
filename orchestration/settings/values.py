"""Single values out of the environment; a bad one is refused by a sentence that names its variable."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

from perdure.documents.limits import Limits
from perdure.errors import InvalidConfiguration
from perdure.services.external import external_services

if TYPE_CHECKING:
    from perdure.documents.extraction.ocr import Ocr

SERVICES_VARIABLE = "PERDURE_SERVICES"


def integer(environment: Mapping[str, str], name: str, *, default: int, least: int = 1, most: int) -> int:
    """A whole number within its bounds.

    Raises:
        InvalidConfiguration: it is none.
    """
    value = environment.get(name)
    if not value:
        return default
    try:
        number = int(value)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise InvalidConfiguration(f"{name} must be a whole number from {least} to {most}, not '{value}'.")
    return number


def switch(environment: Mapping[str, str], name: str) -> bool:
    """On unless switched off by 0.

    Raises:
        InvalidConfiguration: it is neither 0 nor 1.
    """
    value = environment.get(name) or "1"
    if value not in ("0", "1"):
        raise InvalidConfiguration(f"{name} must be 0 or 1, not '{value}'.")
    return value == "1"


def services(environment: Mapping[str, str]) -> dict[str, str]:
    """`PERDURE_SERVICES`: a JSON object of names and addresses, or `name=address` separated by commas or spaces.

    Raises:
        InvalidConfiguration: it is neither, or an address is none that can be asked.
    """
    value = environment.get(SERVICES_VARIABLE, "").strip()
    if not value:
        return {}
    found = _json_services(value) if value.startswith("{") else _listed_services(value)
    try:
        external_services(found, _not_asked)
    except InvalidConfiguration as error:
        raise InvalidConfiguration(f"{SERVICES_VARIABLE}: {error}") from error
    return found


def limit_variable(name: str) -> str:
    """The variable that sets a limit of a document's processing."""
    return f"PERDURE_LIMIT_{name.upper()}"


def checked_limits(environment: Mapping[str, str]) -> Limits:
    """The limits of a document's processing, each settable as `PERDURE_LIMIT_` and its name.

    Raises:
        InvalidConfiguration: one is not a positive number.
    """
    given: dict[str, float | int] = {}
    for limit in fields(Limits):
        name = limit_variable(limit.name)
        value = environment.get(name)
        if value:
            given[limit.name] = _positive(name, value, whole=limit.type is int or limit.type == "int")
    return Limits(**given)  # type: ignore[arg-type]  # by the declared type of each field


def checked_ocr(environment: Mapping[str, str]) -> "Ocr | None":
    """What `PERDURE_OCR` asks for, None for nothing.

    Raises:
        InvalidConfiguration: it cannot be done here.
    """
    if not environment.get("PERDURE_OCR"):
        return None
    from perdure.documents.extraction.ocr import asked_for  # noqa: PLC0415 - heavy, and seldom asked for

    return asked_for(environment)


def _positive(name: str, value: str, *, whole: bool) -> float | int:
    try:
        number = int(value) if whole else float(value)
    except ValueError:
        number = 0
    if not 0 < number < float("inf"):
        raise InvalidConfiguration(f"{name} must be a positive {'whole ' if whole else ''}number, not '{value}'.")
    return number


def _json_services(value: str) -> dict[str, str]:
    try:
        found = json.loads(value)
    except ValueError as error:
        raise InvalidConfiguration(f"{SERVICES_VARIABLE} is not valid JSON: {error}.") from error
    if not all(isinstance(address, str) for address in found.values()):
        raise InvalidConfiguration(f"{SERVICES_VARIABLE} must map each name to an address.")
    return dict(found)


def _listed_services(value: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in value.replace(",", " ").split():
        name, equals, address = item.partition("=")
        if not (name and equals and address):
            raise InvalidConfiguration(f"{SERVICES_VARIABLE} must list name=address, not '{item}'.")
        if name in found:
            raise InvalidConfiguration(f"{SERVICES_VARIABLE} names '{name}' twice.")
        found[name] = address
    return found


async def _not_asked(_dsn: str) -> None:
    """Stands in for the check of a database while only addresses are looked at."""
