"""Which of a database's errors are the world's fault, and how they read.

The world's fault means "not now": the same statement may succeed later without anybody changing the program. All of it
becomes `DependencyUnavailable`. What means "never like this", a broken constraint or a wrong statement, passes through.
"""

import asyncpg

from perdure.errors import DependencyUnavailable, InvalidConfiguration, PerdureError

DEPENDENCY = "Postgres"

WORLDS_FAULT: tuple[type[Exception], ...] = (
    OSError,  # refused, reset, unknown host; TimeoutError is one too
    asyncpg.PostgresConnectionError,  # lost, also in the middle of a COMMIT whose outcome stays unknown
    asyncpg.InvalidAuthorizationSpecificationError,  # a password that is being changed
    asyncpg.InvalidCatalogNameError,  # the database is being restored
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InsufficientResourcesError,  # disk full, out of memory, too many connections
    asyncpg.OperatorInterventionError,  # shutting down, starting up, a statement cancelled
    asyncpg.PostgresSystemError,  # the server cannot read or write its files
    asyncpg.InternalServerError,
    asyncpg.TransactionRollbackError,  # deadlock, serialisation: the same transaction may succeed next time
    asyncpg.ReadOnlySQLTransactionError,  # a standby that is not promoted yet
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    asyncpg.LockNotAvailableError,
    asyncpg.UndefinedTableError,  # the migrations have not been applied yet
    asyncpg.InvalidCachedStatementError,  # a migration has just been applied; asyncpg prepares anew next time
    asyncpg.InternalClientError,  # the server's farewell was being read; no host is primary; types have changed
)


def translated(error: BaseException, *, connection_lost: bool = False) -> PerdureError | None:
    """What Perdure calls this error; None if it is to pass through as it is.

    Args:
        error: as asyncpg or the operating system raised it.
        connection_lost: the connection is known to be closed, so that even a complaint about its use means that.
    """
    if isinstance(error, asyncpg.ClientConfigurationError):
        return InvalidConfiguration("The address of the database cannot be used; see DATABASE_URL.")
    if isinstance(error, WORLDS_FAULT):
        return DependencyUnavailable(DEPENDENCY, said(error))
    if isinstance(error, asyncpg.InterfaceError) and (connection_lost or "clos" in str(error)):
        return DependencyUnavailable(DEPENDENCY, said(error))
    return None


def leaves_connection_unusable(error: BaseException) -> bool:
    """Whether even a ROLLBACK over the same connection would wait for a server that does not answer."""
    return isinstance(error, (OSError, asyncpg.InternalClientError))


def said(error: BaseException) -> str:
    """What the error says in one line, without a final full stop."""
    if isinstance(error, TimeoutError) and not str(error):
        return "it did not answer in time"
    if type(error) is asyncpg.InternalClientError:
        return f"the connection broke down ({error})"
    if isinstance(error, asyncpg.UndefinedTableError):
        return f"its migrations have not been applied ({error})"
    if isinstance(error, OSError) and error.strerror and not isinstance(error, TimeoutError):
        return " ".join(error.strerror.split()).rstrip(".")
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
