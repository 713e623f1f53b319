"""The one place where the domain's errors become Temporal's, retryable or not.

`DependencyUnavailable` is retryable, and its message names the dependency that the workflow waits for. Every other
error of `perdure.errors` would occur again in the same way, so the server must not retry it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from perdure.errors import DependencyUnavailable, PerdureError

DEPENDENCY_UNAVAILABLE = DependencyUnavailable.__name__
HEARTBEAT_EVERY_SECONDS = 2.0
FIRST_HEARTBEAT_SECONDS = 0.5
"""An activity that ends sooner sends no heartbeat, because each heartbeat is a call to the server."""


@asynccontextmanager
async def translate_errors(details: Callable[[], Any] | None = None) -> AsyncIterator[None]:
    """Run the body of an activity with heartbeats, and translate the domain's errors.

    A heartbeat carries `details()`, if `details` is given.

    Raises:
        ApplicationError: a domain error occurred. `type` is its class name; only `DependencyUnavailable` is retryable.
    """
    heartbeats = asyncio.create_task(_heartbeat(details)) if details else None
    try:
        yield
    except DependencyUnavailable as error:
        raise ApplicationError(str(error), type=DEPENDENCY_UNAVAILABLE) from error
    except PerdureError as error:
        raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from error
    finally:
        if heartbeats:
            heartbeats.cancel()
            with suppress(asyncio.CancelledError):
                await heartbeats


async def _heartbeat(details: Callable[[], Any]) -> None:
    await asyncio.sleep(FIRST_HEARTBEAT_SECONDS)
    while True:
        activity.heartbeat(details())
        await asyncio.sleep(HEARTBEAT_EVERY_SECONDS)
