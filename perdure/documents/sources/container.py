"""The base class of files that hold documents: ZIP and TAR archives, and mailboxes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from perdure.documents.addresses import path_of, shown, uri_of
from perdure.documents.document import DiscoveredDocument
from perdure.documents.opened import OpenedDocument, spool
from perdure.documents.reading import fault, open_regular, reason_of
from perdure.documents.sources.hashing import hash_pieces
from perdure.documents.sources.index_cache import get_index
from perdure.documents.sources.listing import absent_document
from perdure.documents.sources.manifest_file import InvalidLine
from perdure.documents.sources.member import Content, Index, Member
from perdure.documents.sources.path_checks import check_path, faults_as_refusals
from perdure.errors import (
    DependencyUnavailable,
    DocumentError,
    EmptyDocument,
    InvalidSource,
    SourceNotFound,
    VanishedDocument,
)


class ContainerSource:
    """One document inside a file; implements `Source` and `Container`.

    The ending of a file's name decides whether the file is a container. The content does not decide, because office
    files are ZIPs too and stay documents.
    """

    scheme = ""
    """The text before the file's URI: `zip+` gives `zip+file:///a.zip!/inner/name`."""
    suffixes: tuple[str, ...] = ()
    """The endings of the names of containers of this kind, in lower case."""

    def list_members(self, path: Path, file: BinaryIO) -> Iterator[Member]:
        """Yield the members in the order of the file.

        Raises:
            DocumentError: the file is damaged; raised after the members before the damage.
            OSError: the file cannot be read.
        """
        raise NotImplementedError

    def build_index(self, path: Path, file: BinaryIO) -> Index:
        """Return an index by which one member can be read without the others.

        Raises:
            DocumentError: the file is damaged.
            OSError: the file cannot be read.
        """
        raise NotImplementedError

    def claims(self, path: Path) -> bool:
        """Return whether a file has the name of a container of this kind."""
        return path.name.lower().endswith(self.suffixes)

    def member_uri(self, path: Path, key: str) -> str:
        """Return the URI of a document inside a file."""
        return f"{self.scheme}{uri_of(path)}!/{key}"

    def members(self, path: Path) -> Iterator[Member]:
        """Open a file and yield its members; raises the errors of `list_members`."""
        with open_regular(path) as file:
            yield from self.list_members(path, file)

    @contextmanager
    def content(self, path: Path, key: str) -> Iterator[Content]:
        """Open a file and give the content of one member.

        Raises:
            DocumentError: the file has no member with this key, or the member is damaged.
            OSError: the file cannot be read.
        """
        with open_regular(path) as file:
            yield get_index(self.build_index, path, file).content(file, key)

    def matches(self, address: str) -> bool:
        """Return whether an address names a document inside a container of this kind."""
        return address.startswith(f"{self.scheme}file://")

    def normalise(self, address: str) -> str:
        """Return the member's URI; see `Source.normalise`."""
        path, key = self._split(address)
        return self.member_uri(path, key)

    def root(self, address: str) -> Path:
        """Return the container; see `Source.root`."""
        return self._split(address)[0]

    def check(self, address: str) -> None:
        """Check that the container can be read and holds the member; see `Source.check`."""
        path, key = self._split(address)
        check_path(path)
        with faults_as_refusals(path):
            try:
                self._find_member(path, key)
            except VanishedDocument as error:
                member = shown(address.partition("!/")[2])
                raise SourceNotFound(f"There is no '{member}' in '{shown(path)}'.") from error

    def discover(self, address: str) -> Iterator[DiscoveredDocument]:
        """Yield the member; see `Source.discover`. A member that is not found is yielded as well."""
        path, key = self._split(address)
        try:
            yield self._member_document(path, key)
        except OSError as error:
            raise DependencyUnavailable(f"the source {shown(path)}", reason_of(error)) from error

    def discover_line(self, line: str, manifest: Path) -> Iterator[DiscoveredDocument]:
        """Yield the member that a line names; see `Source.discover_line`."""
        try:
            path, key = self._split(line)
        except (InvalidSource, ValueError) as error:  # ValueError: a lone surrogate
            raise InvalidLine("no-address") from error
        try:
            yield self._member_document(path, key)
        except OSError as error:
            yield absent_document(self.member_uri(path, key), path, manifest, error)

    def open(self, uri: str, root: Callable[[], Path], max_bytes: int) -> OpenedDocument:
        """Write the member to a temporary file without a name, and open that; see `Source.open`."""
        path, key = self._split(uri)
        try:
            with self.content(path, key) as content:
                opened = spool(content.pieces, content.version, max_bytes)
        except OSError as error:
            raise fault(error, path, root) from error
        if not opened.size_bytes:
            opened.close()
            raise EmptyDocument("The file is empty.")
        return opened

    def version(self, uri: str) -> str | None:
        """Return the member's SHA-256; see `Source.version`."""
        return hash_pieces(self._pieces(*self._split(uri)))

    def _pieces(self, path: Path, key: str) -> Iterator[bytes]:
        try:
            with self.content(path, key) as content:
                yield from content.pieces
        except (FileNotFoundError, NotADirectoryError) as error:
            raise VanishedDocument("The file is gone.") from error
        except OSError as error:
            raise fault(error, path, lambda: path) from error

    def _split(self, address: str) -> tuple[Path, str]:
        """Return the path of the container and the key of the member that an address names.

        Raises:
            InvalidSource: the address names no path.
        """
        # A URI encodes an exclamation mark in the file's name, so the first exclamation mark ends the name.
        file, _, key = address.removeprefix(self.scheme).partition("!/")
        return path_of(file), key

    def _find_member(self, path: Path, key: str) -> Member:
        for member in self.members(path):
            if member.key == key:
                return member
        raise VanishedDocument("There is no such document in the file.")

    def _member_document(self, path: Path, key: str) -> DiscoveredDocument:
        try:
            member = self._find_member(path, key)
        except DocumentError:
            member = Member(key, shown(unquote(key)), 0, "not found")
        uri = self.member_uri(path, key)
        name = shown(f"{path.name}/{member.name}")
        return DiscoveredDocument(uri=uri, name=name, source=uri, size_bytes=member.size_bytes, version=member.version)
