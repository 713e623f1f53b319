"""Checks a source on a disk before a run starts."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perdure.documents.addresses import shown
from perdure.documents.reading import reason_of
from perdure.errors import DependencyUnavailable, DocumentError, InvalidSource, SourceNotFound


def check_path(path: Path) -> None:
    """Check that a path leads to a file or folder that this process may read.

    Raises:
        SourceNotFound: the path leads to nothing.
        InvalidSource: the path leads to something else, or to a file or folder that cannot be read.
    """
    name = shown(path)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceNotFound(f"There is no file or folder '{name}'.") from error
    except OSError as error:
        raise InvalidSource(f"'{name}' cannot be read: {reason_of(error)}.") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InvalidSource(f"'{name}' is neither a file nor a folder.")
    if not os.access(path, os.R_OK | (os.X_OK if stat.S_ISDIR(mode) else 0)):
        raise InvalidSource(f"'{name}' cannot be read: permission denied.")


@contextmanager
def faults_as_refusals(path: Path) -> Iterator[None]:
    """Raise `InvalidSource` for each fault of a document or a disk that the block meets."""
    try:
        yield
    except DocumentError as error:
        raise InvalidSource(f"'{shown(path)}' cannot be used: {error}") from error
    except DependencyUnavailable as error:
        raise InvalidSource(f"'{shown(path)}' cannot be read: {error.why}.") from error
