"""The base class of sources on servers, and the address of a document there.

Only the worker sends requests, with the credentials of its environment (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID` …). A
confined parser has neither a network nor credentials. The time of a request and the size of a document are bounded.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from perdure.documents.addresses import path_of, shown
from perdure.documents.document import DiscoveredDocument
from perdure.documents.opened import OpenedDocument, size_refusal, spool
from perdure.documents.sources.hashing import hash_pieces
from perdure.documents.sources.manifest_file import InvalidLine
from perdure.errors import (
    DependencyUnavailable,
    DocumentError,
    EmptyDocument,
    InvalidSource,
    SourceNotFound,
    UnreadableDocument,
    VanishedDocument,
)

if TYPE_CHECKING:
    from obstore.store import HTTPStore, S3Store

_REQUEST_SECONDS = 120
_CONNECT_SECONDS = 5
_MAX_RETRIES = 2
"""Most retries of one request. The activity that sends the request is itself retried without a limit."""
_PIECE_BYTES = 1024 * 1024
_NO_TIME = datetime(1970, 1, 2).astimezone()
"""A time of modification before this time means that the server names none."""
_MAX_REASON_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class RemoteAddress:
    """A place on a server."""

    scheme: str
    host: str
    """The host with its port, or the bucket."""
    key: str
    """The path, decoded and without the first slash."""

    @property
    def uri(self) -> str:
        """The address in the form in which the store and the messages have it."""
        return f"{self.scheme}://{self.host}/{quote(self.key, safe='/-_.~')}"

    @property
    def server(self) -> str:
        """The server's name in messages."""
        return f"{self.scheme}://{self.host}"


def parse_address(source: str, *, needs_key: bool) -> RemoteAddress:
    """Return the parts of an address.

    Args:
        source: the address.
        needs_key: whether an address without a path is refused.

    Raises:
        InvalidSource: the address names no host, or has more parts than a host and a path.
    """
    try:
        parts = urlsplit(source)
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise InvalidSource(f"'{shown(source)}' is no address.") from error
    if parts.username or parts.password:
        raise InvalidSource(
            "The address holds a password, which would be stored with the results: leave the password out."
        )
    if not parts.hostname:
        raise InvalidSource(f"'{shown(source)}' names no host or bucket.")
    if parts.query or parts.fragment or "?" in source:
        raise InvalidSource(f"'{shown(source)}' has a query: an address is a host and a path.")
    scheme = parts.scheme.lower()
    key = unquote(parts.path).lstrip("/")
    if "\0" in key or (needs_key and not key):
        raise InvalidSource(f"'{shown(source)}' names no document.")
    return RemoteAddress(scheme, f"{parts.hostname}{port}", key)


def client_options() -> dict[str, Any]:
    """Return the bounds on time and retries, as keyword arguments of obstore's stores."""
    options = {
        "timeout": timedelta(seconds=_REQUEST_SECONDS),
        "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
        "allow_http": True,
    }
    retries = {"max_retries": _MAX_RETRIES, "retry_timeout": timedelta(seconds=_REQUEST_SECONDS)}
    return {"client_options": options, "retry_config": retries}


def remote_document(source: RemoteAddress, address: RemoteAddress, meta: dict[str, Any] | None) -> DiscoveredDocument:
    """Return a document on a server.

    Args:
        source: the source in which the document was found.
        address: address of the document.
        meta: obstore's description of the document; None if the server does not have the document.
    """
    inside = address.key.removeprefix(source.key).lstrip("/") if source != address else ""
    meta = meta or {"size": 0, "e_tag": None, "last_modified": _NO_TIME}
    return DiscoveredDocument(
        uri=address.uri,
        name=shown(inside or address.key.rstrip("/").rpartition("/")[2]),
        source=source.uri,
        size_bytes=meta["size"],
        version=_make_version(meta),
    )


class RemoteSource:
    """Documents on a server; implements `Source`. A subclass adds the store and the listing."""

    schemes: tuple[str, ...] = ()
    """The schemes of the addresses, in lower case."""
    needs_key = True
    """Whether an address needs a path, because a host alone names no document."""

    def open_store(self, address: RemoteAddress) -> "HTTPStore | S3Store":
        """Return obstore's client for the server of an address."""
        raise NotImplementedError

    def list_documents(self, address: RemoteAddress) -> Iterator[DiscoveredDocument]:
        """Yield the documents at an address.

        Raises:
            VanishedDocument: the address names a single document, and the server does not have it.
            DependencyUnavailable: the server does not answer, or refuses.
        """
        raise NotImplementedError

    def check_store(self, address: RemoteAddress) -> None:
        """Raise `DependencyUnavailable` if the server has lost more than one document."""

    def matches(self, address: str) -> bool:
        """Return whether the address has one of the schemes, in upper or lower case."""
        scheme, colon, _ = address.partition("://")
        return bool(colon) and scheme.lower() in self.schemes

    def normalise(self, address: str) -> str:
        """Return the address in one form; see `Source.normalise`."""
        return self._parse(address).uri

    def root(self, address: str) -> Path:
        """Raise `InvalidSource`: a server is no place on a disk."""
        return path_of(address)

    def check(self, address: str) -> None:
        """Check that the server has a document at the address; see `Source.check`."""
        parsed = self._parse(address)
        try:
            if next(self.list_documents(parsed), None) is None:
                raise SourceNotFound(f"There are no documents at '{shown(address)}'.")
        except VanishedDocument as error:
            raise SourceNotFound(f"There is nothing at '{shown(address)}'.") from error
        except (DependencyUnavailable, DocumentError) as error:
            raise InvalidSource(f"'{shown(address)}' cannot be read: {error}") from error

    def discover(self, address: str) -> Iterator[DiscoveredDocument]:
        """Yield the documents at the address; see `Source.discover`."""
        parsed = self._parse(address)
        try:
            yield from self.list_documents(parsed)
        except VanishedDocument:
            # The document was there when the run started. A listed document ends quarantined, and is not lost.
            yield remote_document(parsed, parsed, None)

    def discover_line(self, line: str, manifest: Path) -> Iterator[DiscoveredDocument]:  # noqa: ARG002 - no relative paths
        """Yield the document that a line names; see `Source.discover_line`."""
        try:
            yield self._single_document(self._parse(line))
        except (InvalidSource, ValueError) as error:  # ValueError: a lone surrogate
            raise InvalidLine("no-address") from error

    def open(self, uri: str, root: Callable[[], Path], max_bytes: int) -> OpenedDocument:  # noqa: ARG002 - on no disk
        """Write the document to a temporary file without a name, and open that; see `Source.open`.

        The version comes from the same answer of the server as the content.
        """
        address = self._parse(uri)
        with self.faults_of(address):
            meta, pieces = self._request(address)
            if meta["size"] > max_bytes:
                raise size_refusal(meta["size"], max_bytes)
            opened = spool(pieces, lambda: _make_version(meta), max_bytes)
        if not opened.size_bytes:
            opened.close()
            raise EmptyDocument("The file is empty.")
        return opened

    def version(self, uri: str) -> str | None:
        """Return the document's SHA-256; see `Source.version`."""
        return hash_pieces(self._pieces(uri))

    def describe(self, address: RemoteAddress) -> dict[str, Any]:
        """Return obstore's description of a document.

        Some servers refuse a request for the description alone. The method then requests the whole document.

        Raises:
            FileNotFoundError: the server does not have the document.
            obstore.exceptions.BaseError: the server does not answer, or refuses.
        """
        import obstore  # noqa: PLC0415 - most runs do not use it
        from obstore.exceptions import BaseError  # noqa: PLC0415

        store = self.open_store(address)
        try:
            return dict(obstore.head(store, address.key))
        except FileNotFoundError:
            raise
        except BaseError:
            return dict(obstore.get(store, address.key).meta)

    @contextmanager
    def faults_of(self, address: RemoteAddress) -> Iterator[None]:
        """Turn obstore's errors into `DocumentError` and `DependencyUnavailable`.

        A missing document is quarantined. Every other error means that the document's server is unavailable.
        """
        from obstore.exceptions import BaseError  # noqa: PLC0415 - most runs do not use it

        try:
            yield
        except FileNotFoundError as error:
            self.check_store(address)
            raise VanishedDocument("The server says that it is not there.") from error
        except BaseError as error:
            reason = shown(str(error).split("\n", 1)[0])
            if "410 Gone" in reason:
                raise VanishedDocument("The server says that it is gone for good.") from error
            if "content-length" in str(error).lower():
                raise UnreadableDocument("The server does not say how large it is.") from error
            raise DependencyUnavailable(address.server, reason[:_MAX_REASON_CHARACTERS]) from error

    def _parse(self, address: str) -> RemoteAddress:
        return parse_address(address, needs_key=self.needs_key)

    def _single_document(self, address: RemoteAddress) -> DiscoveredDocument:
        if not address.key or address.key.endswith("/"):
            raise InvalidSource(f"'{shown(address.uri)}' names no single document.")
        try:
            with self.faults_of(address):
                return remote_document(address, address, self.describe(address))
        except VanishedDocument:
            return remote_document(address, address, None)

    def _request(self, address: RemoteAddress) -> tuple[dict[str, Any], Iterator[bytes]]:
        import obstore  # noqa: PLC0415 - most runs do not use it

        answer = obstore.get(self.open_store(address), address.key)
        return dict(answer.meta), (bytes(piece) for piece in answer.stream(min_chunk_size=_PIECE_BYTES))

    def _pieces(self, uri: str) -> Iterator[bytes]:
        address = self._parse(uri)
        with self.faults_of(address):
            yield from self._request(address)[1]


def _make_version(meta: dict[str, Any]) -> str:
    """Return the server's tag, else time of modification and size.

    A server that names neither tag nor time hides changes of the same size.
    """
    if meta["e_tag"]:
        return f"etag {meta['e_tag']}"
    modified = meta["last_modified"]
    return f"modified {modified.isoformat() if modified > _NO_TIME else 'unknown'} size {meta['size']}"
