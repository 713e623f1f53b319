"""Where documents come from: each kind of source opens its documents for the worker, and only for it.

The isolated parser gets a descriptor and opens nothing.
"""

import hashlib
from collections.abc import Iterator

from perdure.documents import reading
from perdure.documents.addresses import uri_of
from perdure.documents.opened import OpenedDocument, content_of, spooled
from perdure.documents.sources import attachments
from perdure.documents.sources.containers import open_member, root_of, taken_apart
from perdure.documents.sources.manifest_file import is_line, refuse_line
from perdure.documents.sources.remote import is_remote, open_remote, remote_content
from perdure.errors import DocumentError, EmptyDocument, VanishedDocument

__all__ = ["content_hash", "open_document"]


def open_document(uri: str, source: str, max_bytes: int) -> OpenedDocument:
    """The document open for reading; blocks, and whoever gets it closes it.

    Raises:
        DocumentError: it is gone, empty, too large or unreadable.
        DependencyUnavailable: its source cannot be used now.
    """
    refuse_line(uri)
    if uri.startswith(attachments.SCHEME):
        return _open_attachment(uri, source, max_bytes)
    if is_remote(uri):
        return open_remote(uri, max_bytes)
    if inside := taken_apart(uri):
        return open_member(*inside, source, max_bytes)
    return reading.open_file(uri, root_of(source), max_bytes)


def _open_attachment(uri: str, source: str, max_bytes: int) -> OpenedDocument:
    mail, _, key = uri.removeprefix(attachments.SCHEME).rpartition("!/")
    content = attachments.attachment(_mail(mail, source), key)
    if not content:
        raise EmptyDocument("The file is empty.")
    return spooled([content], lambda: attachments.version(content), max_bytes)


def _mail(uri: str, source: str) -> bytes:
    opened = open_document(uri, source, attachments.MAX_MAIL_BYTES)
    try:
        return content_of(opened.descriptor, attachments.MAX_MAIL_BYTES)
    finally:
        opened.close()


def content_hash(uri: str) -> str | None:
    """SHA-256 of the document's bytes in hexadecimal, None if it is readable no more.

    Raises:
        DependencyUnavailable: the disk fails, or a server does not answer.
    """
    if not (is_line(uri) or is_remote(uri) or uri.startswith(attachments.SCHEME) or taken_apart(uri)):
        return reading.content_hash(uri)
    digest = hashlib.sha256()
    try:
        for piece in _pieces(uri):
            digest.update(piece)
    except DocumentError:
        return None
    return digest.hexdigest()


def _pieces(uri: str) -> Iterator[bytes]:
    refuse_line(uri)
    if uri.startswith(attachments.SCHEME):
        mail, _, key = uri.removeprefix(attachments.SCHEME).rpartition("!/")
        inside = taken_apart(mail)
        yield attachments.attachment(_mail(mail, uri_of(inside[1]) if inside else mail), key)
    elif inside := taken_apart(uri):
        kind, path, key = inside
        try:
            with kind.content(path, key) as content:
                yield from content.pieces
        except (FileNotFoundError, NotADirectoryError) as error:
            raise VanishedDocument("The file is gone.") from error
        except OSError as error:
            raise reading.fault(error, path, path) from error
    else:
        yield from remote_content(uri)
