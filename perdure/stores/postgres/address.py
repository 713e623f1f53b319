"""Show the address of the database without its password, and check it before it is used."""

import re
import socket
from urllib.parse import urlsplit

import asyncpg

from perdure.errors import InvalidConfiguration, RefusedCommand, ServerUnreachable
from perdure.stores.postgres.faults import UNAVAILABLE_ERRORS, describe_error

_SCHEMES = ("postgresql", "postgres")
_CONNECT_SECONDS = 5.0


def mask_password(dsn: str) -> str:
    """Return the address without its password, for messages.

    The function may mask more than the password, so that no part of a password with an unescaped "/" or "@" is shown.
    """
    scheme, separator, rest = dsn.partition("://")
    if not separator:
        return re.sub(r"(?i)(password\s*=\s*)('[^']*'|\S+)", r"\1***", dsn) if "=" in dsn else "***"
    before_at, at, place = rest.rpartition("@")
    if at:
        user, colon, _ = before_at.partition(":")
        rest = user + (":***" if colon else "") + at + place
    elif re.match(r"[^/?\[]*:(?!\d*([/?,]|$))", rest):  # a user and a password without a host
        rest = rest.partition(":")[0] + ":***"
    return f"{scheme}://" + re.sub(r"(?i)(password=)[^&]*", r"\1***", rest)


async def check_connection(dsn: str) -> None:
    """Check that the database can be used, before a program that needs it is started.

    Raises:
        InvalidConfiguration: the address cannot be read, or the server lacks pgvector.
        ServerUnreachable: no server answers at the address, or the server refuses this login.
    """
    has_vectors = await _ask(dsn, "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector')")
    if not has_vectors:
        raise InvalidConfiguration(
            f"The Postgres server at {mask_password(dsn)} lacks the extension pgvector; install it there, "
            "or unset DATABASE_URL to use the embedded database."
        )


async def check_answer(dsn: str) -> None:
    """Check that the database of another service answers; that database needs no pgvector.

    Raises:
        InvalidConfiguration: the address cannot be read.
        ServerUnreachable: no server answers at the address, or the server refuses this login.
    """
    await _ask(dsn, "SELECT 1")


async def _ask(dsn: str, question: str) -> object:
    _check_form(dsn)
    try:
        conn = await asyncpg.connect(dsn, timeout=_CONNECT_SECONDS)
    except (asyncpg.InterfaceError, ValueError) as error:
        raise InvalidConfiguration(f"{mask_password(dsn)} is not an address of a Postgres database.") from error
    except UNAVAILABLE_ERRORS as error:
        raise _make_unreachable(dsn, error) from error
    try:
        return await conn.fetchval(question)
    except UNAVAILABLE_ERRORS as error:
        raise _make_unreachable(dsn, error) from error
    finally:
        conn.terminate()


def _check_form(dsn: str) -> None:
    try:
        parts = urlsplit(dsn)
        acceptable = parts.scheme in _SCHEMES and (parts.port is None or parts.port > 0)
    except ValueError:
        acceptable = False
    if not acceptable:
        raise InvalidConfiguration(
            f"{mask_password(dsn)} is not an address of a Postgres database, such as postgresql://user:password@host:5432/name."
        )


def _make_unreachable(dsn: str, error: BaseException) -> RefusedCommand:
    where = mask_password(dsn)
    if isinstance(error, socket.gaierror):
        return ServerUnreachable(f"The host of the Postgres server at {where} is not known.")
    if isinstance(error, ConnectionRefusedError):
        return ServerUnreachable(f"No Postgres server listens at {where}.")
    if isinstance(error, TimeoutError):
        return ServerUnreachable(f"The Postgres server at {where} did not answer within {_CONNECT_SECONDS:.0f} s.")
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        return ServerUnreachable(f"The Postgres server at {where} refuses this login: {describe_error(error)}.")
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return ServerUnreachable(f"The Postgres server at {where} has no such database: {describe_error(error)}.")
    return ServerUnreachable(f"The Postgres server at {where} cannot be used: {describe_error(error)}.")
