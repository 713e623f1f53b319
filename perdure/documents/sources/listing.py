"""Lists the documents of one file: the file itself, or the documents inside it."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from perdure.documents.addresses import shown, uri_of
from perdure.documents.document import DiscoveredDocument
from perdure.documents.reading import fault, open_regular, version_of
from perdure.documents.sources.attachments import MAX_MAIL_BYTES, SCHEME, is_mail, list_attachments, read_within_limit
from perdure.documents.sources.member import BLOCK_BYTES, Container
from perdure.errors import DependencyUnavailable, DocumentError


def file_documents(
    root: Path, path: Path, status: os.stat_result, containers: Sequence[Container]
) -> Iterator[DiscoveredDocument]:
    """Yield a file, or the documents inside it.

    A container that is empty, damaged or cut off is yielded itself, after the members that could be found, so that it
    ends quarantined.

    Args:
        root: the path that the user named.
        path: path of the file.
        status: status of the file.
        containers: the kinds of files that are taken apart.
    """
    document = file_document(root, path, status)
    is_regular = stat.S_ISREG(status.st_mode)
    container = next((kind for kind in containers if is_regular and kind.claims(path)), None)
    if container:
        yield from _list_members(container, path, document)
        return
    yield document
    if is_regular and is_mail(path.name):
        with suppress(DocumentError, FileNotFoundError), open_regular(path) as file:
            yield from _attached(document, read_within_limit(iter(lambda: file.read(BLOCK_BYTES), b"")))


def file_document(root: Path, path: Path, status: os.stat_result) -> DiscoveredDocument:
    """Return a file as one document; its name is the path below the root."""
    return DiscoveredDocument(
        uri=uri_of(path),
        name=shown(path.name if path == root else path.relative_to(root)),
        source=uri_of(root),
        size_bytes=status.st_size if stat.S_ISREG(status.st_mode) else 0,
        version=version_of(status),
    )


def absent_document(uri: str, path: Path, manifest: Path, error: OSError) -> DiscoveredDocument:
    """Return a document that a manifest names and that is not there; it ends quarantined.

    Args:
        uri: uri of the document.
        path: path of its file.
        manifest: path of the manifest.
        error: the error that was raised for the path.

    Raises:
        OSError: `error` itself, if the error concerns more than this document.
    """
    if isinstance(fault(error, path, lambda: manifest), DependencyUnavailable):
        raise error
    return DiscoveredDocument(uri=uri, name=shown(path.name), source=uri, size_bytes=0, version="not found")


def _list_members(container: Container, path: Path, document: DiscoveredDocument) -> Iterator[DiscoveredDocument]:
    has_members = False
    try:
        for member in container.members(path):
            has_members = True
            inside = DiscoveredDocument(
                uri=container.member_uri(path, member.key),
                name=shown(f"{document.name}/{member.name}"),
                source=document.source,
                size_bytes=member.size_bytes,
                version=member.version,
            )
            yield inside
            if is_mail(member.name) and member.size_bytes <= MAX_MAIL_BYTES:
                with suppress(DocumentError), container.content(path, member.key) as content:
                    yield from _attached(inside, read_within_limit(content.pieces))
    except DocumentError:
        yield document
        return
    except FileNotFoundError:
        return  # Another process has removed the file since the listing.
    if not has_members:
        yield document


def _attached(mail: DiscoveredDocument, content: bytes) -> Iterator[DiscoveredDocument]:
    for attachment in list_attachments(content):
        yield DiscoveredDocument(
            uri=f"{SCHEME}{mail.uri}!/{attachment.key}",
            name=shown(f"{mail.name}/{attachment.name}"),
            source=mail.source,
            size_bytes=attachment.size_bytes,
            version=attachment.version,
        )
