"""Errors of Postgres that a retry may cure become `DependencyUnavailable`, and no others."""

import asyncpg
import pytest

from perdure.errors import DependencyUnavailable, InvalidConfiguration
from perdure.stores.postgres.faults import convert_to_perdure_error

NOT_NOW = [
    ConnectionRefusedError(111, "Connection refused"),
    ConnectionResetError(),
    TimeoutError(),
    asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.InterfaceError("pool is closing"),
    asyncpg.CannotConnectNowError("the database system is starting up"),
    asyncpg.AdminShutdownError("terminating connection due to administrator command"),
    asyncpg.CrashShutdownError("crash"),
    asyncpg.QueryCanceledError("canceling statement due to statement timeout"),
    asyncpg.TooManyConnectionsError("sorry, too many clients already"),
    asyncpg.DiskFullError("could not extend file: No space left on device"),
    asyncpg.OutOfMemoryError("out of memory"),
    asyncpg.DeadlockDetectedError("deadlock detected"),
    asyncpg.SerializationError("could not serialize access"),
    asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT in a read-only transaction"),
    asyncpg.TransactionResolutionUnknownError("unknown"),
    asyncpg.StatementCompletionUnknownError("unknown"),
    asyncpg.InvalidPasswordError("password authentication failed"),
    asyncpg.InvalidCatalogNameError('database "x" does not exist'),
    asyncpg.PostgresIOError("could not fsync file"),
    asyncpg.TransactionTimeoutError("terminating connection due to transaction timeout"),
    asyncpg.IdleInTransactionSessionTimeoutError("terminating connection due to idle-in-transaction timeout"),
    asyncpg.LockNotAvailableError("canceling statement due to lock timeout"),
    asyncpg.InternalClientError("cannot switch to state 11; another operation (2) is in progress"),
]

NEVER = [
    asyncpg.UniqueViolationError("duplicate key"),
    asyncpg.CheckViolationError("violates check constraint"),
    asyncpg.PostgresSyntaxError("syntax error"),
    asyncpg.UndefinedColumnError("column does not exist"),
    asyncpg.DataError("invalid input"),
    asyncpg.InvalidTextRepresentationError("invalid input syntax"),
    asyncpg.InterfaceError("cannot perform operation: another operation is in progress"),
    ValueError("a bug"),
    KeyError("a bug"),
]


def named(error: Exception) -> str:
    return f"{type(error).__name__}-{error}"[:40]


@pytest.mark.parametrize("error", NOT_NOW, ids=named)
def test_errors_that_a_retry_may_cure_are_translated(error: Exception) -> None:
    fault = convert_to_perdure_error(error)
    assert isinstance(fault, DependencyUnavailable)
    assert fault.dependency == "Postgres"
    assert fault.why
    assert "\n" not in fault.why


@pytest.mark.parametrize("error", NEVER, ids=named)
def test_errors_that_no_retry_cures_are_not_translated(error: Exception) -> None:
    assert convert_to_perdure_error(error) is None


def test_any_error_of_a_lost_connection_is_translated() -> None:
    complaint = asyncpg.InterfaceError("cannot perform operation: another operation is in progress")
    assert isinstance(convert_to_perdure_error(complaint, connection_lost=True), DependencyUnavailable)


def test_an_unreadable_address_is_a_configuration_error() -> None:
    assert isinstance(convert_to_perdure_error(asyncpg.ClientConfigurationError("invalid DSN")), InvalidConfiguration)
