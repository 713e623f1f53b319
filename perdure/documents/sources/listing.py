"""What one file contributes to the list of documents: itself, or the documents inside it."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from perdure.documents.addresses import shown, uri_of
from perdure.documents.document import DiscoveredDocument
from perdure.documents.reading import version_of
from perdure.documents.sources.containers import Container, kind_of, member_uri
from perdure.documents.sources.member import Member
from perdure.errors import DocumentError, VanishedDocument


def file_documents(root: Path, path: Path, status: os.stat_result) -> Iterator[DiscoveredDocument]:
    """The file, or what is in it; one that is empty, damaged or cut off stands for itself, to be quarantined."""
    document = file_document(root, path, status)
    kind = kind_of(path) if stat.S_ISREG(status.st_mode) else None
    if kind is None:
        yield document
        return
    found = whole = False
    try:
        for member in kind.members(path):
            found = True
            yield DiscoveredDocument(
                uri=member_uri(kind, path, member.key),
                name=shown(f"{document.name}/{member.name}"),
                source=document.source,
                size_bytes=member.size_bytes,
                version=member.version,
            )
        whole = True
    except DocumentError:
        whole = False
    except FileNotFoundError:
        return  # removed meanwhile
    if not (found and whole):
        yield document


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
