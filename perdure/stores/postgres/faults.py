"""Converts errors of the database into errors of Perdure with one-sentence messages.

An error becomes `DependencyUnavailable` if the same statement may succeed later. The error of a broken constraint or a
wrong statement is not converted, because a retry would fail again. If such an error concerns the outputs of a document,
`convert_to_unstorable` converts it into an error of the document.
"""

import asyncpg

from perdure.errors import DependencyUnavailable, InvalidConfiguration, PerdureError, UnstorableDocument

DEPENDENCY = "Postgres"
"""The name of this dependency in messages."""

UNAVAILABLE_ERRORS: tuple[type[Exception], ...] = (
    OSError,  # refused, reset, unknown host; TimeoutError is a subclass
    asyncpg.PostgresConnectionError,  # lost, perhaps in the middle of a COMMIT, whose outcome stays unknown
    asyncpg.InvalidAuthorizationSpecificationError,  # a password that is being changed
    asyncpg.InvalidCatalogNameError,  # the database is being restored
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InsufficientResourcesError,  # disk full, out of memory, too many connections
    asyncpg.OperatorInterventionError,  # shutting down, starting up, a statement cancelled
    asyncpg.PostgresSystemError,  # the server cannot read or write its files
    asyncpg.InternalServerError,
    asyncpg.TransactionRollbackError,  # deadlock, serialisation: the same transaction may succeed later
    asyncpg.ReadOnlySQLTransactionError,  # a standby that is not promoted yet
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    asyncpg.LockNotAvailableError,
    asyncpg.UndefinedTableError,  # the migrations have not been applied yet
    asyncpg.InvalidCachedStatementError,  # a migration has just been applied; asyncpg prepares the statement again
    asyncpg.InternalClientError,  # the server was closing the connection; no host is primary; types have changed
)


def convert_to_perdure_error(error: BaseException, *, connection_lost: bool = False) -> PerdureError | None:
    """Return the error of Perdure that the store raises instead of `error`.

    Return None if the store raises `error` unchanged.

    Args:
        error: the error that asyncpg or the operating system raised.
        connection_lost: whether the connection is closed. Every `InterfaceError` then counts as a lost connection.
    """
    if isinstance(error, asyncpg.ClientConfigurationError):
        return InvalidConfiguration("The address of the database cannot be used; see DATABASE_URL.")
    if isinstance(error, UNAVAILABLE_ERRORS):
        return DependencyUnavailable(DEPENDENCY, describe_error(error))
    # The message of an error about a value quotes the value, and the value may contain the text "clos" too.
    encoding = isinstance(error, ValueError)
    if isinstance(error, asyncpg.InterfaceError) and (connection_lost or ("clos" in str(error) and not encoding)):
        return DependencyUnavailable(DEPENDENCY, describe_error(error))
    return None


_PERMANENT_ERRORS: tuple[type[Exception], ...] = (
    asyncpg.DataError,  # out of range, wrong type, characters that no text may hold; also raised by asyncpg's encoder
    asyncpg.CheckViolationError,
    asyncpg.NotNullViolationError,
    asyncpg.ProgramLimitExceededError,  # more than a row, an index or an array can hold
    ValueError,  # raised by the encoders of COPY and JSON for half a surrogate pair or a NaN
    OverflowError,
)
_MAX_CHARACTERS = 200


def convert_to_unstorable(error: BaseException) -> UnstorableDocument | None:
    """Return the error to quarantine the document with; None if a retry may store its outputs."""
    if not isinstance(error, _PERMANENT_ERRORS) or isinstance(error, asyncpg.ClientConfigurationError):
        return None
    why = "".join(character if character.isprintable() else " " for character in describe_error(error))[
        :_MAX_CHARACTERS
    ]
    return UnstorableDocument(f"What was found in the document cannot be stored: {why}.")


def leaves_connection_unusable(error: BaseException) -> bool:
    """Return whether the same connection would fail again.

    A ROLLBACK would wait for a server that does not answer. A restored backup creates types again, such as those of
    pgvector. A connection that has cached the old types then keeps failing ("cache lookup failed for type …").
    """
    return isinstance(error, (OSError, asyncpg.InternalClientError, asyncpg.InternalServerError))


def describe_error(error: BaseException) -> str:
    """Return the message of an error in one line, without a final full stop."""
    if isinstance(error, TimeoutError) and not str(error):
        return "it did not answer in time"
    if type(error) is asyncpg.InternalClientError:
        return f"the connection broke down ({error})"
    if isinstance(error, asyncpg.UndefinedTableError):
        return f"its migrations have not been applied ({error})"
    if isinstance(error, OSError) and error.strerror and not isinstance(error, TimeoutError):
        return " ".join(error.strerror.split()).rstrip(".")
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
