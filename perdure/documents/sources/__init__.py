"""Where documents come from: each kind of source opens its documents for the worker, and only for it.

The isolated parser gets a descriptor and opens nothing.
"""

import hashlib

from perdure.documents import reading
from perdure.documents.opened import OpenedDocument
from perdure.documents.sources.containers import open_member, root_of, taken_apart
from perdure.documents.sources.manifest_file import is_line, refuse_line
from perdure.documents.sources.remote import is_remote, open_remote, remote_content
from perdure.errors import DocumentError

__all__ = ["content_hash", "open_document"]


def open_document(uri: str, source: str, max_bytes: int) -> OpenedDocument:
    """The document open for reading; blocks, and whoever gets it closes it.

    Raises:
        DocumentError: it is gone, empty, too large or unreadable.
        DependencyUnavailable: its source cannot be used now.
    """
    refuse_line(uri)
    if is_remote(uri):
        return open_remote(uri, max_bytes)
    if inside := taken_apart(uri):
        return open_member(*inside, source, max_bytes)
    return reading.open_file(uri, root_of(source), max_bytes)


def content_hash(uri: str) -> str | None:
    """SHA-256 of the document's bytes in hexadecimal, None if it is readable no more.

    Raises:
        DependencyUnavailable: the disk fails, or a server does not answer.
    """
    inside = taken_apart(uri)
    digest = hashlib.sha256()
    if inside is None and not is_remote(uri):
        return None if is_line(uri) else reading.content_hash(uri)
    if inside is None:
        try:
            for piece in remote_content(uri):
                digest.update(piece)
        except DocumentError:
            return None
        return digest.hexdigest()
    kind, path, key = inside
    try:
        with kind.content(path, key) as content:
            for piece in content.pieces:
                digest.update(piece)
    except DocumentError:
        return None
    except OSError as error:
        ours = reading.fault(error, path, path)
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return None
        raise ours from error
    return digest.hexdigest()
