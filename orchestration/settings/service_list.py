"""`PERDURE_SERVICES`: the names and addresses of the configured services.

Every checkpoint records the health of these services.
"""

import json

from perdure.errors import InvalidConfiguration
from perdure.services.external import external_services

VARIABLE = "PERDURE_SERVICES"


def parse_services(value: str) -> dict[str, str]:
    """Return a mapping of name to address, in the order of the value.

    Args:
        value: a JSON object, or `name=address` separated by commas or spaces.

    Raises:
        InvalidConfiguration: the value has another form, or the health of an address cannot be checked.
    """
    text = value.strip()
    services = _parse_json(text) if text.startswith("{") else _parse_list(text)
    try:
        external_services(services, _check_nothing)
    except InvalidConfiguration as error:
        raise InvalidConfiguration(f"{VARIABLE}: {error}") from error
    return services


def _parse_json(value: str) -> dict[str, str]:
    try:
        services = json.loads(value)
    except ValueError as error:
        raise InvalidConfiguration(f"{VARIABLE} is not valid JSON: {error}.") from error
    if not all(isinstance(address, str) for address in services.values()):
        raise InvalidConfiguration(f"{VARIABLE} must map each name to an address.")
    return dict(services)


def _parse_list(value: str) -> dict[str, str]:
    services: dict[str, str] = {}
    for item in value.replace(",", " ").split():
        name, equals, address = item.partition("=")
        if not (name and equals and address):
            raise InvalidConfiguration(f"{VARIABLE} must list name=address, not '{item}'.")
        if name in services:
            raise InvalidConfiguration(f"{VARIABLE} names '{name}' twice.")
        services[name] = address
    return services


async def _check_nothing(_dsn: str) -> None:
    """Take the place of a database's health check while only addresses are validated."""
