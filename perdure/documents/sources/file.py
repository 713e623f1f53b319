"""A single file, named by its path or its `file://` URI: `file:///a/b.txt`."""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from perdure.documents.addresses import path_of, shown, uri_of
from perdure.documents.document import DiscoveredDocument
from perdure.documents.opened import OpenedDocument
from perdure.documents.reading import content_hash, open_file, reason_of
from perdure.documents.sources.container import ContainerSource
from perdure.documents.sources.listing import absent_document, file_documents
from perdure.documents.sources.manifest_file import InvalidLine
from perdure.documents.sources.path_checks import check_path
from perdure.errors import DependencyUnavailable, InvalidSource


class FileSource:
    """A file: one document, or the documents inside it if it is a container or a mail.

    The class implements `Source`. It matches every address, so it stands last in the registry. Other classes inherit
    its methods and override some of them.

    Args:
        containers: the kinds of files that are taken apart.
    """

    def __init__(self, containers: Sequence[ContainerSource]) -> None:
        self._containers = containers

    def matches(self, address: str) -> bool:  # noqa: ARG002 - the last row of the registry takes what is left
        """Return True."""
        return True

    def normalise(self, address: str) -> str:
        """Return the `file://` URI; see `Source.normalise`."""
        return uri_of(path_of(address))

    def root(self, address: str) -> Path:
        """Return the path itself; see `Source.root`."""
        return path_of(address)

    def check(self, address: str) -> None:
        """Check that the file exists and can be read; see `Source.check`."""
        check_path(path_of(address))

    def discover(self, address: str) -> Iterator[DiscoveredDocument]:
        """Yield the file, or the documents inside it; see `Source.discover`."""
        root = path_of(address)
        try:
            yield from file_documents(root, root, root.stat(), self._containers)
        except OSError as error:
            raise DependencyUnavailable(f"the source {shown(root)}", reason_of(error)) from error

    def discover_line(self, line: str, manifest: Path) -> Iterator[DiscoveredDocument]:
        """Yield the file that a line names, or the documents inside it; see `Source.discover_line`."""
        try:
            path = path_of(line) if "://" in line else _make_path_below(manifest.parent, line)
        except (InvalidSource, ValueError) as error:  # ValueError: a lone surrogate
            raise InvalidLine("no-address") from error
        try:
            status = path.stat()
        except OSError as error:
            yield absent_document(uri_of(path), path, manifest, error)
            return
        if stat.S_ISDIR(status.st_mode):
            raise InvalidLine("folder")
        yield from file_documents(path, path, status, self._containers)

    def open(self, uri: str, root: Callable[[], Path], max_bytes: int) -> OpenedDocument:
        """Open the file itself; see `Source.open`."""
        return open_file(uri, root, max_bytes)

    def version(self, uri: str) -> str | None:
        """Return the file's SHA-256; see `Source.version`."""
        return content_hash(uri)


def _make_path_below(folder: Path, name: str) -> Path:
    """Return the path of a manifest's line.

    Unlike `path_of`, this function does not look up each part of the path on the disk, because a manifest may have a
    million lines.
    """
    if b"\0" in os.fsencode(name):
        raise InvalidSource("A source cannot hold a NUL character.")
    return Path(os.path.normpath(folder / name))
