"""Opens files, and decides for each error whether the document or its source is the cause."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from perdure.documents.addresses import path_of, shown
from perdure.documents.opened import OpenedDocument, size_refusal
from perdure.errors import (
    DependencyUnavailable,
    DocumentError,
    EmptyDocument,
    UnreadableDocument,
    VanishedDocument,
)
from perdure.sandbox.limits import MEGABYTE

_BLOCK_BYTES = MEGABYTE
# These errors last as long as the file stays as it is; every other error may be over in a minute.
_LASTING = {errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENXIO, errno.ENODEV, errno.ELOOP, errno.ENAMETOOLONG}
_GONE = (FileNotFoundError, NotADirectoryError)


def open_file(uri: str, root: Callable[[], Path], max_bytes: int) -> OpenedDocument:
    """Open a regular file that is not empty for reading.

    Args:
        uri: uri of the file.
        root: returns the file or folder on which the document's source stands; called only after an error.
        max_bytes: a larger file is refused.

    Raises:
        DocumentError: the file is gone, empty, too large, unreadable, or no file.
        DependencyUnavailable: the document's source is gone, or the disk fails.
    """
    path = path_of(uri)
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            if status.st_size > max_bytes:
                raise size_refusal(status.st_size, max_bytes)
            # A failing disk must fail here and not in the confined parser, whose error would quarantine the document.
            if not os.pread(file.fileno(), 1, 0):
                raise EmptyDocument("The file is empty.")
            return OpenedDocument(os.dup(file.fileno()), status.st_size, version_of(status))
    except OSError as error:
        raise fault(error, path, root) from error


def version_of(status: os.stat_result) -> str:
    """Return a file's version, which changes whenever its content may have changed.

    Args:
        status: status of the file; its size and the times of its last modification and status change make the version.
    """
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"


def content_hash(uri: str) -> str | None:
    """Return the SHA-256 of a file in hexadecimal, or None if it cannot be read any more.

    Raises:
        DependencyUnavailable: the disk fails.
    """
    digest = hashlib.sha256()
    path = path_of(uri)
    try:
        with open_regular(path) as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except DocumentError:
        return None
    except OSError as error:
        reason = fault(error, path, lambda: path)
        if isinstance(error, _GONE) or isinstance(reason, DocumentError):
            return None
        raise reason from error
    return digest.hexdigest()


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        UnreadableDocument: the path leads to something else.
        OSError: the file is gone, or cannot be opened.
    """
    # O_NONBLOCK: without it, opening a pipe waits until another process opens the pipe for writing.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check_regular(os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check_regular(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise UnreadableDocument("It is a folder, not a file.")
    if not stat.S_ISREG(mode):
        raise UnreadableDocument("It is not a regular file.")


def reason_of(error: OSError) -> str:
    """Return the operating system's description of an error, in lower case."""
    return (error.strerror or type(error).__name__).lower()


def fault(error: OSError, path: Path, root: Callable[[], Path]) -> DocumentError | DependencyUnavailable:
    """Return the error of the document or of its source for an operating system's error.

    Args:
        error: the error that was raised for the file.
        path: path of the file.
        root: returns the file or folder on which the document's source stands.
    """
    base = root()
    if isinstance(error, _GONE):
        # A source that is a single file stands in a folder; that folder is gone while a disk is not mounted.
        folder = base.parent if base == path else base
        if why := _explain_unusable(folder, is_source=folder == base):
            return DependencyUnavailable(f"the source {shown(base)}", why)
        return VanishedDocument("The file was there at discovery and is gone.")
    if error.errno in _LASTING:
        return UnreadableDocument(f"The file cannot be read: {str(error.strerror).lower()}.")
    return DependencyUnavailable(f"the source {shown(base)}", str(error.strerror or error).lower())


def _explain_unusable(folder: Path, *, is_source: bool) -> str | None:
    """Return what is wrong with the place of a vanished file; None if only the file is gone.

    Args:
        folder: the folder, the archive or the manifest in which the file was.
        is_source: whether the folder is the source itself.
    """
    try:
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
        if is_source and is_folder and next(folder.iterdir(), None) is None:
            return "it is empty now, as when its disk is not mounted"
    except OSError as missing:
        return "it is not there now" if isinstance(missing, _GONE) else str(missing.strerror).lower()
    return None
