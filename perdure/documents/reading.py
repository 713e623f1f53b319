"""Read a document's bytes, and tell whose fault it is when that cannot be done."""

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

from perdure.documents.addresses import path_of, shown
from perdure.documents.opened import OpenedDocument, too_large
from perdure.errors import (
    DependencyUnavailable,
    DocumentError,
    EmptyDocument,
    UnreadableDocument,
    VanishedDocument,
)
from perdure.sandbox.limits import MEGABYTE

_BLOCK_BYTES = MEGABYTE
# What these say is true of the file for good; every other error may be over in a minute.
_DOCUMENTS_FAULT = {errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENXIO, errno.ENODEV, errno.ELOOP, errno.ENAMETOOLONG}
_GONE = (FileNotFoundError, NotADirectoryError)


def open_file(uri: str, root: Path, max_bytes: int) -> OpenedDocument:
    """A regular, non-empty file of at most `max_bytes`, open for reading; `root` is what its source stands on.

    Raises:
        DocumentError: the file is gone, empty, too large, unreadable, or no file.
        DependencyUnavailable: its source is gone altogether, or the disk fails.
    """
    path = path_of(uri)
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            if status.st_size > max_bytes:
                raise too_large(status.st_size, max_bytes)
            if not os.pread(file.fileno(), 1, 0):  # a disk that fails does it here, not in the parser
                raise EmptyDocument("The file is empty.")
            return OpenedDocument(os.dup(file.fileno()), status.st_size, version_of(status))
    except OSError as error:
        raise fault(error, path, root) from error


def version_of(status: os.stat_result) -> str:
    """Changes whenever the content may have: size, time of modification, time of status change."""
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"


def content_hash(uri: str) -> str | None:
    """SHA-256 of the file's bytes in hexadecimal, None if it is no readable file any more.

    Raises:
        DependencyUnavailable: the disk fails.
    """
    digest, path = hashlib.sha256(), path_of(uri)
    try:
        with open_regular(path) as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except DocumentError:
        return None
    except OSError as error:
        ours = fault(error, path, path)
        if isinstance(error, _GONE) or isinstance(ours, DocumentError):
            return None
        raise ours from error
    return digest.hexdigest()


def open_regular(path: Path) -> BinaryIO:
    """A regular file, open for reading.

    Raises:
        UnreadableDocument: it is something else.
        OSError: it is gone, or cannot be opened.
    """
    # Not blocking: opening a pipe would wait for somebody to write into it.
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


def fault(error: OSError, path: Path, root: Path) -> DocumentError | DependencyUnavailable:
    """Whose fault it is that the file cannot be used."""
    if isinstance(error, _GONE):
        # A source that is a single file stands in a folder, which is gone when a disk is not mounted.
        base = root.parent if root == path else root
        if why := _why_unusable(base, is_source=base == root):
            return DependencyUnavailable(f"the source {shown(root)}", why)
        return VanishedDocument("The file was there at discovery and is gone.")
    if error.errno in _DOCUMENTS_FAULT:
        return UnreadableDocument(f"The file cannot be read: {str(error.strerror).lower()}.")
    return DependencyUnavailable(f"the source {shown(root)}", str(error.strerror or error).lower())


def _why_unusable(base: Path, *, is_source: bool) -> str | None:
    """What is wrong with that which a vanished file stood in; None if only the file is gone."""
    try:
        is_folder = stat.S_ISDIR(base.stat().st_mode)  # a source may be an archive or a list, too
        if is_source and is_folder and next(base.iterdir(), None) is None:
            return "it is empty now, as when its disk is not mounted"
    except OSError as missing:
        return "it is not there now" if isinstance(missing, _GONE) else str(missing.strerror).lower()
    return None
