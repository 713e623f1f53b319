"""A file that lists documents, `manifest:list.jsonl`, and its lines that name no document."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from perdure.documents.addresses import path_of, shown, uri_of
from perdure.documents.document import DiscoveredDocument
from perdure.documents.opened import OpenedDocument
from perdure.documents.reading import reason_of
from perdure.documents.sources.container import ContainerSource
from perdure.documents.sources.file import FileSource
from perdure.documents.sources.manifest_file import (
    LINE_PREFIX,
    PREFIX,
    InvalidLine,
    line_document,
    line_refusal,
    manifest_path,
    read_lines,
)
from perdure.documents.sources.source import Source
from perdure.errors import DependencyUnavailable, DocumentError, InvalidSource, SourceNotFound, UnreadableDocument


class ManifestSource(FileSource):
    """The documents that a manifest lists; implements `Source`.

    Args:
        containers: the kinds of files that are taken apart.
        find_source: returns the kind of source of a line's document.
    """

    def __init__(self, containers: Sequence[ContainerSource], find_source: Callable[[str], Source]) -> None:
        super().__init__(containers)
        self._find_source = find_source

    def matches(self, address: str) -> bool:
        """Return whether an address names a manifest."""
        return address.startswith(PREFIX)

    def normalise(self, address: str) -> str:
        """Return the manifest's URI behind `manifest:`; see `Source.normalise`."""
        return f"{PREFIX}{uri_of(manifest_path(address))}"

    def root(self, address: str) -> Path:
        """Return the manifest's path; see `Source.root`."""
        return path_of(address.removeprefix(PREFIX))

    def check(self, address: str) -> None:
        """Check that the manifest can be read and has an entry; see `Source.check`."""
        path = manifest_path(address)
        try:
            is_empty = next(read_lines(path), None) is None
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SourceNotFound(f"There is no manifest '{shown(path)}'.") from error
        except (OSError, UnreadableDocument) as error:
            raise InvalidSource(f"The manifest '{shown(path)}' cannot be read.") from error
        if is_empty:
            raise InvalidSource(f"The manifest '{shown(path)}' lists no documents.")

    def discover(self, address: str) -> Iterator[DiscoveredDocument]:
        """Yield the documents of each line; see `Source.discover`.

        A line that names no document is yielded as a document, which ends quarantined with the line's number.
        """
        path = manifest_path(address)
        source = self.normalise(address)
        try:
            for number, line, entry in read_lines(path):
                try:
                    if isinstance(entry, InvalidLine):
                        raise entry
                    for document in self._find_source(entry).discover_line(entry, path):
                        yield replace(document, source=source)
                except InvalidLine as reason:
                    yield line_document(source, path, number, line, reason)
        except (OSError, DocumentError) as error:
            why = reason_of(error) if isinstance(error, OSError) else str(error)
            raise DependencyUnavailable(f"the manifest {shown(path)}", why) from error


class ManifestLineSource(FileSource):
    """A line of a manifest that names no document; implements `Source`.

    Such a document can be listed, but not read.
    """

    def matches(self, address: str) -> bool:
        """Return whether an address names a line that names no document."""
        return address.startswith(LINE_PREFIX)

    def open(self, uri: str, root: Callable[[], Path], max_bytes: int) -> OpenedDocument:  # noqa: ARG002 - never opened
        """Raise `UnreadableDocument` with the number and the fault of the line."""
        raise line_refusal(uri)

    def version(self, uri: str) -> str | None:  # noqa: ARG002 - never read
        """Return None: the line has no content."""
        return None
