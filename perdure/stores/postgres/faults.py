"""Which of a database's errors are the world's fault, and how they read.

The world's fault means "not now": the same statement may succeed later without anybody changing the program. All of it
becomes `DependencyUnavailable`. What means "never like this", a broken constraint or a wrong statement, passes through;
of a document's outputs, `unstorable` makes it the document's fault.
"""

import asyncpg

from perdure.errors import DependencyUnavailable, InvalidConfiguration, PerdureError, UnstorableDocument

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
    encoding = isinstance(error, ValueError)  # a complaint about a value, which it quotes: any word may be in there
    if isinstance(error, asyncpg.InterfaceError) and (connection_lost or ("clos" in str(error) and not encoding)):
        return DependencyUnavailable(DEPENDENCY, said(error))
    return None


_NEVER_LIKE_THIS: tuple[type[Exception], ...] = (
    asyncpg.DataError,  # out of range, not of the type, characters that no text may hold; asyncpg's own encoder too
    asyncpg.CheckViolationError,
    asyncpg.NotNullViolationError,
    asyncpg.ProgramLimitExceededError,  # more than a row, an index or an array can take
    ValueError,  # from the encoders of COPY and JSON: half a surrogate pair, not a number
    OverflowError,
)
_MAX_SAID = 200


def unstorable(error: BaseException) -> UnstorableDocument | None:
    """The document's fault, if the database will never take what was found in it; None for every other error."""
    if not isinstance(error, _NEVER_LIKE_THIS) or isinstance(error, asyncpg.ClientConfigurationError):
        return None
    why = "".join(character if character.isprintable() else " " for character in said(error))[:_MAX_SAID]
    return UnstorableDocument(f"What was found in the document cannot be stored: {why}.")


def leaves_connection_unusable(error: BaseException) -> bool:
    """Whether the same connection would only fail again.

    Even a ROLLBACK would wait for a server that does not answer; and what a connection knows of types, such as those of
    pgvector, is wrong for good ("cache lookup failed for type …") once a restored backup has made them anew.
    """
    return isinstance(error, (OSError, asyncpg.InternalClientError, asyncpg.InternalServerError))


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
