"""The one place where the domain's errors become Temporal's: what is tried again, what never is, and how it reads.

`DependencyUnavailable` is retryable, and named, so that the workflow can say what it waits for. Everything else that
Perdure raises on purpose would fail again in the same way, so the server must not retry it.
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
"""What ends sooner needs none, and each is a call to the server."""


@asynccontextmanager
async def translated(details: Callable[[], Any] | None = None) -> AsyncIterator[None]:
    """Run the body of an activity: heartbeat `details()` all along if given, translate the domain's errors.

    Raises:
        ApplicationError: of the domain error's class name as `type`; non-retryable unless a dependency is away.
    """
    heart = asyncio.create_task(_beat(details)) if details else None
    try:
        yield
    except DependencyUnavailable as error:
        raise ApplicationError(str(error), type=DEPENDENCY_UNAVAILABLE) from error
    except PerdureError as error:
        raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from error
    finally:
        if heart:
            heart.cancel()
            with suppress(asyncio.CancelledError):
                await heart


async def _beat(details: Callable[[], Any]) -> None:
    await asyncio.sleep(FIRST_HEARTBEAT_SECONDS)
    while True:
        activity.heartbeat(details())
        await asyncio.sleep(HEARTBEAT_EVERY_SECONDS)
