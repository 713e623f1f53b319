"""What one file contributes to the list of documents: itself, or the documents inside it."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from perdure.documents.addresses import shown, uri_of
from perdure.documents.document import DiscoveredDocument
from perdure.documents.reading import open_regular, version_of
from perdure.documents.sources.attachments import MAX_MAIL_BYTES, SCHEME, attachments, bounded, is_mail
from perdure.documents.sources.containers import Container, kind_of, member_uri
from perdure.documents.sources.member import BLOCK_BYTES, Member
from perdure.errors import DocumentError, VanishedDocument


def file_documents(root: Path, path: Path, status: os.stat_result) -> Iterator[DiscoveredDocument]:
    """The file, or what is in it; one that is empty, damaged or cut off stands for itself, to be quarantined."""
    document = file_document(root, path, status)
    kind = kind_of(path) if stat.S_ISREG(status.st_mode) else None
    if kind is None:
        yield document
        if stat.S_ISREG(status.st_mode) and is_mail(path.name):
            with suppress(DocumentError, FileNotFoundError), open_regular(path) as file:
                yield from _attached(document, bounded(iter(lambda: file.read(BLOCK_BYTES), b"")))
        return
    found = whole = False
    try:
        for member in kind.members(path):
            found = True
            inside = DiscoveredDocument(
                uri=member_uri(kind, path, member.key),
                name=shown(f"{document.name}/{member.name}"),
                source=document.source,
                size_bytes=member.size_bytes,
                version=member.version,
            )
            yield inside
            if is_mail(member.name) and member.size_bytes <= MAX_MAIL_BYTES:
                with suppress(DocumentError), kind.content(path, member.key) as content:
                    yield from _attached(inside, bounded(content.pieces))
        whole = True
    except DocumentError:
        whole = False
    except FileNotFoundError:
        return  # removed meanwhile
    if not (found and whole):
        yield document


def _attached(mail: DiscoveredDocument, content: bytes) -> Iterator[DiscoveredDocument]:
    for one in attachments(content):
        yield DiscoveredDocument(
            uri=f"{SCHEME}{mail.uri}!/{one.key}",
            name=shown(f"{mail.name}/{one.name}"),
            source=mail.source,
            size_bytes=one.size_bytes,
            version=one.version,
        )


def listed_member(kind: Container, path: Path, key: str) -> DiscoveredDocument:
    """A member that is a source itself; one that is not to be found is listed all the same, to be quarantined."""
    try:
        member = find_member(kind, path, key)
    except DocumentError:
        member = Member(key, shown(unquote(key)), 0, "not found")
    uri = member_uri(kind, path, key)
    name = shown(f"{path.name}/{member.name}")
    return DiscoveredDocument(uri=uri, name=name, source=uri, size_bytes=member.size_bytes, version=member.version)


def find_member(kind: Container, path: Path, key: str) -> Member:
    """The member of this key.

    Raises:
        DocumentError: there is none, or the container is damaged before it.
        OSError: the container cannot be read.
    """
    found = next((one for one in kind.members(path) if one.key == key), None)
    if found is None:
        raise VanishedDocument("There is no such document in the file.")
    return found


def file_document(root: Path, path: Path, status: os.stat_result) -> DiscoveredDocument:
    return DiscoveredDocument(
        uri=uri_of(path),
        name=shown(path.name if path == root else path.relative_to(root)),
        source=uri_of(root),
        size_bytes=status.st_size if stat.S_ISREG(status.st_mode) else 0,
        version=version_of(status),
    )
