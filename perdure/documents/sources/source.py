"""The protocol that each kind of source implements."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from perdure.documents.document import DiscoveredDocument
from perdure.documents.opened import OpenedDocument


class Source(Protocol):
    """One kind of place from which documents come.

    An address is the text that names a source or a document: a path or a URI. The registry asks each class in order
    whether it matches an address, and calls the other methods of the first class that does.
    """

    def matches(self, address: str) -> bool:
        """Return whether an address is of this kind. Never raises."""
        ...

    def normalise(self, address: str) -> str:
        """Return the absolute URI of a source; the same URI for each way to write the address.

        Raises:
            InvalidSource: the address cannot be used.
        """
        ...

    def root(self, address: str) -> Path:
        """Return the file or folder on which a source stands.

        Without that file or folder, the whole source is unavailable.

        Raises:
            InvalidSource: the source stands on no disk, or the address cannot be used.
        """
        ...

    def check(self, address: str) -> None:
        """Check, before a run starts, that a source holds a document.

        Raises:
            SourceNotFound: the source does not exist.
            InvalidSource: the source cannot be read, or holds no document.
        """
        ...

    def discover(self, address: str) -> Iterator[DiscoveredDocument]:
        """Yield every document of a source in a stable order.

        Raises:
            DependencyUnavailable: the source was there when the run started, and is not there now.
        """
        ...

    def discover_line(self, line: str, manifest: Path) -> Iterator[DiscoveredDocument]:
        """Yield the documents that one line of a manifest names, absent ones included.

        Args:
            line: an address, or a path relative to the manifest's folder.
            manifest: path of the manifest.

        Raises:
            InvalidLine: the line names no document.
            DependencyUnavailable, OSError: the documents cannot be looked up now.
        """
        ...

    def open(self, uri: str, root: Callable[[], Path], max_bytes: int) -> OpenedDocument:
        """Open a document for reading. The call blocks; the caller closes the result.

        Args:
            uri: uri of the document.
            root: returns the file or folder on which the document's source stands; called only after an error.
            max_bytes: a larger document is refused.

        Raises:
            DocumentError: the document is gone, empty, too large or unreadable.
            DependencyUnavailable: the document's source cannot be used now.
        """
        ...

    def version(self, uri: str) -> str | None:
        """Return the version of a document's content, or None if it cannot be read any more.

        The version is the SHA-256 in hexadecimal. Unlike a time of modification, it changes only with the
        content.

        Raises:
            DependencyUnavailable: the disk fails, or a server does not answer.
        """
        ...
