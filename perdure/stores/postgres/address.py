"""The address of the database: shown without its password, and tried before anything depends on it."""

import re
import socket
from urllib.parse import urlsplit

import asyncpg

from perdure.errors import InvalidConfiguration, RefusedCommand, ServerUnreachable
from perdure.stores.postgres.faults import WORLDS_FAULT, said

_SCHEMES = ("postgresql", "postgres")
_CONNECT_SECONDS = 5.0


def masked(dsn: str) -> str:
    """The address without its password, for messages.

    Masks too much rather than too little: an unescaped "/" or "@" in a password never shows a part of it.
    """
    scheme, found, rest = dsn.partition("://")
    if not found:
        return re.sub(r"(?i)(password\s*=\s*)('[^']*'|\S+)", r"\1***", dsn) if "=" in dsn else "***"
    before_at, at, place = rest.rpartition("@")
    if at:
        user, colon, _ = before_at.partition(":")
        rest = user + (":***" if colon else "") + at + place
    elif re.match(r"[^/?\[]*:(?!\d*([/?,]|$))", rest):  # a user and a password, and the host forgotten
        rest = rest.partition(":")[0] + ":***"
    return f"{scheme}://" + re.sub(r"(?i)(password=)[^&]*", r"\1***", rest)


async def check_connection(dsn: str) -> None:
    """See that the database can be used, before anything is started that needs it.

    Raises:
        InvalidConfiguration: the address is none, or the server lacks pgvector.
        ServerUnreachable: nobody answers there, or not to us.
    """
    found = await _answer(dsn, "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector')")
    if not found:
        raise InvalidConfiguration(
            f"The Postgres server at {masked(dsn)} lacks the extension pgvector; install it there, "
            "or unset DATABASE_URL to use the embedded database."
        )


async def check_answer(dsn: str) -> None:
    """See that a database answers; one of somebody else's, which needs nothing of ours.

    Raises:
        InvalidConfiguration, ServerUnreachable: as `check_connection`.
    """
    await _answer(dsn, "SELECT 1")


async def _answer(dsn: str, question: str) -> object:
    _check_form(dsn)
    try:
        conn = await asyncpg.connect(dsn, timeout=_CONNECT_SECONDS)
    except (asyncpg.InterfaceError, ValueError) as error:
        raise InvalidConfiguration(f"{masked(dsn)} is not an address of a Postgres database.") from error
    except WORLDS_FAULT as error:
        raise _unreachable(dsn, error) from error
    try:
        return await conn.fetchval(question)
    except WORLDS_FAULT as error:
        raise _unreachable(dsn, error) from error
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
            f"{masked(dsn)} is not an address of a Postgres database, such as postgresql://user:password@host:5432/name."
        )


def _unreachable(dsn: str, error: BaseException) -> RefusedCommand:
    where = masked(dsn)
    if isinstance(error, socket.gaierror):
        return ServerUnreachable(f"No host of this name is known for the Postgres server at {where}.")
    if isinstance(error, ConnectionRefusedError):
        return ServerUnreachable(f"No Postgres server listens at {where}.")
    if isinstance(error, TimeoutError):
        return ServerUnreachable(f"The Postgres server at {where} did not answer within {_CONNECT_SECONDS:.0f} s.")
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        return ServerUnreachable(f"The Postgres server at {where} does not let us in: {said(error)}.")
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return ServerUnreachable(f"The Postgres server at {where} has no such database: {said(error)}.")
    return ServerUnreachable(f"The Postgres server at {where} cannot be used: {said(error)}.")
