"""The registry of sources: one row a kind. A new kind is one file and its row here."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from perdure.documents.document import DiscoveredDocument
from perdure.documents.opened import OpenedDocument
from perdure.documents.sources.attachment_source import AttachmentSource
from perdure.documents.sources.container import ContainerSource
from perdure.documents.sources.file import FileSource
from perdure.documents.sources.folder import FolderSource
from perdure.documents.sources.mailbox import MailboxSource
from perdure.documents.sources.manifest import ManifestLineSource, ManifestSource
from perdure.documents.sources.object_store import ObjectStoreSource
from perdure.documents.sources.pattern_source import PatternSource
from perdure.documents.sources.source import Source
from perdure.documents.sources.tar_archive import TarSource
from perdure.documents.sources.web_server import WebServerSource
from perdure.documents.sources.zip_archive import ZipSource


def source_of(address: str) -> Source:
    """Return the kind of a source that a user names."""
    return _find_first_match(SOURCES, address)


def document_source_of(uri: str) -> Source:
    """Return the kind of source that opens a document."""
    return _find_first_match(DOCUMENT_SOURCES, uri)


CONTAINERS: tuple[ContainerSource, ...] = (ZipSource(), TarSource(), MailboxSource())
"""The files that are taken apart, wherever they are found."""

_FILE = FileSource(CONTAINERS)
_URI_SOURCES: tuple[Source, ...] = (
    ManifestLineSource(CONTAINERS),
    AttachmentSource(CONTAINERS, document_source_of),
    WebServerSource(),
    ObjectStoreSource(),
    *CONTAINERS,
)

# A file matches every address, so it is the last row of both tables. Patterns, manifests and folders are no documents.
DOCUMENT_SOURCES: tuple[Source, ...] = (*_URI_SOURCES, _FILE)
SOURCES: tuple[Source, ...] = (
    PatternSource(CONTAINERS, source_of),
    ManifestSource(CONTAINERS, document_source_of),
    *_URI_SOURCES,
    FolderSource(CONTAINERS),
    _FILE,
)


def root_of(source: str) -> Path:
    """Return the file or folder on which a source stands.

    Raises:
        InvalidSource: the source stands on no disk, or cannot be used.
    """
    return source_of(source).root(source)


def discover_all(sources: Iterable[str]) -> Iterator[DiscoveredDocument]:
    """Yield the documents of the sources, in the order of the sources; see `Source.discover`."""
    for source in sources:
        yield from source_of(source).discover(source)


def open_document(uri: str, source: str, max_bytes: int) -> OpenedDocument:
    """Open a document for reading. The call blocks; the caller closes the result.

    Args:
        uri: uri of the document.
        source: the address of the source in which discovery found the document.
        max_bytes: a larger document is refused.

    Raises:
        DocumentError: the document is gone, empty, too large or unreadable.
        DependencyUnavailable: the document's source cannot be used now.
    """
    return document_source_of(uri).open(uri, lambda: root_of(source), max_bytes)


def content_hash(uri: str) -> str | None:
    """Return the SHA-256 of a document in hexadecimal, or None if it cannot be read any more.

    Raises:
        DependencyUnavailable: the disk fails, or a server does not answer.
    """
    return document_source_of(uri).version(uri)


def _find_first_match(sources: Iterable[Source], address: str) -> Source:
    return next(source for source in sources if source.matches(address))
