"""Documents on web servers (`https://host/path`) and in S3-compatible object stores (`s3://bucket/prefix`).

Only the worker asks for them, with the credentials of its environment (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID` …); an
isolated parser has neither network nor those. Whole requests are bounded in time, documents in size.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from perdure.documents.addresses import shown
from perdure.documents.document import DiscoveredDocument
from perdure.documents.opened import OpenedDocument, spooled, too_large
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

_SCHEMES = ("http", "https", "s3")
_REQUEST_SECONDS, _CONNECT_SECONDS = 120, 5
_MAX_RETRIES = 2
"""Of one request; the activity around it is tried for as long as it takes."""
_PIECE_BYTES = 1024 * 1024
_UNSAID = datetime(1970, 1, 2).astimezone()
_MAX_WHY = 200


@dataclass(frozen=True, slots=True)
class _Address:
    scheme: str
    host: str
    key: str
    """Decoded, without the first slash."""

    @property
    def uri(self) -> str:
        return f"{self.scheme}://{self.host}/{quote(self.key, safe='/-_.~')}"

    @property
    def server(self) -> str:
        """For people."""
        return f"{self.scheme}://{self.host}"

    def store(self) -> "HTTPStore | S3Store":
        from obstore.store import HTTPStore, S3Store  # noqa: PLC0415 - most runs need none

        options: Any = {
            "timeout": timedelta(seconds=_REQUEST_SECONDS),
            "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
            "allow_http": True,
        }
        retry: Any = {"max_retries": _MAX_RETRIES, "retry_timeout": timedelta(seconds=_REQUEST_SECONDS)}
        if self.scheme == "s3":
            return S3Store(self.host, client_options=options, retry_config=retry)
        return HTTPStore.from_url(self.server, client_options=options, retry_config=retry)


def is_remote(source: str) -> bool:
    """Whether a source or a document's URI is one of these."""
    scheme, colon, _ = source.partition("://")
    return bool(colon) and scheme.lower() in _SCHEMES


def normalise_remote(source: str) -> str:
    """The same place, always written in the same way.

    Raises:
        InvalidSource: it names no host, or says more than a host and a path.
    """
    return _address(source).uri


def check_remote(source: str) -> None:
    """See that there is something.

    Raises:
        InvalidSource: it cannot be used, or holds no documents.
        SourceNotFound: nothing is there.
    """
    address = _address(source)
    try:
        if next(_found(address), None) is None:
            raise SourceNotFound(f"There are no documents at '{shown(source)}'.")
    except (DependencyUnavailable, DocumentError) as error:
        if isinstance(error, VanishedDocument):
            raise SourceNotFound(f"There is nothing at '{shown(source)}'.") from error
        raise InvalidSource(f"'{shown(source)}' cannot be read: {error}") from error


def discover_remote(source: str) -> Iterator[DiscoveredDocument]:
    """The document of a web address, or each object under a prefix in the order of the store, a page at a time.

    Raises:
        DependencyUnavailable: the server does not answer, or refuses.
    """
    address = _address(source)
    try:
        yield from _found(address)
    except VanishedDocument:
        # It was there when the run was started: listed, it ends quarantined.
        yield _document(address, address, {"size": 0, "e_tag": None, "last_modified": _UNSAID})


def remote_document(uri: str) -> DiscoveredDocument:
    """The one document of an address; one that is not there is listed all the same, to be quarantined.

    Raises:
        InvalidSource: it is the address of no single document.
        DependencyUnavailable: the server does not answer, or refuses.
    """
    address = _address(uri)
    if not address.key or address.key.endswith("/"):
        raise InvalidSource(f"'{shown(uri)}' names no single document.")
    try:
        with _told(address):
            return _document(address, address, _head(address.store(), address))
    except VanishedDocument:
        return _document(address, address, {"size": 0, "e_tag": None, "last_modified": _UNSAID})


def open_remote(uri: str, max_bytes: int) -> OpenedDocument:
    """The document in a temporary file without a name; its version is that of the answer it came with.

    Raises:
        DocumentError: it is gone, empty, or too large.
        DependencyUnavailable: the server does not answer, or refuses.
    """
    address = _address(uri)
    with _told(address):
        meta, pieces = _content(address)
        if meta["size"] > max_bytes:
            raise too_large(meta["size"], max_bytes)
        opened = spooled(pieces, lambda: _version(meta), max_bytes)
    if not opened.size_bytes:
        opened.close()
        raise EmptyDocument("The file is empty.")
    return opened


def remote_content(uri: str) -> Iterator[bytes]:
    """Its bytes, piece by piece; raises as `open_remote` does."""
    address = _address(uri)
    with _told(address):
        yield from _content(address)[1]


def _address(source: str) -> _Address:
    try:
        parts = urlsplit(source)
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise InvalidSource(f"'{shown(source)}' is no address.") from error
    if parts.username or parts.password:
        raise InvalidSource("An address with a password in it would be stored with its results: leave it out.")
    if not parts.hostname:
        raise InvalidSource(f"'{shown(source)}' names no host or bucket.")
    if parts.query or parts.fragment or "?" in source:
        raise InvalidSource(f"'{shown(source)}' has a query: an address is a host and a path.")
    scheme = parts.scheme.lower()
    key = unquote(parts.path).lstrip("/")
    if "\0" in key or (scheme != "s3" and not key):
        raise InvalidSource(f"'{shown(source)}' names no document.")
    return _Address(scheme, f"{parts.hostname}{port}", key)


def _found(address: _Address) -> Iterator[DiscoveredDocument]:
    import obstore  # noqa: PLC0415 - most runs need none

    store = address.store()
    if address.scheme != "s3":
        with _told(address):
            meta = _head(store, address)
        yield _document(address, address, meta)
        return
    if address.key and not address.key.endswith("/"):
        with _told(address), suppress(FileNotFoundError):  # it is a prefix, then
            yield _document(address, address, dict(obstore.head(store, address.key)))
    with _told(address):
        for page in obstore.list(store, prefix=address.key or None, chunk_size=1000):
            for one in page:
                if one["size"] or not one["path"].endswith("/"):
                    yield _document(address, _Address("s3", address.host, one["path"]), dict(one))


def _head(store: "HTTPStore | S3Store", address: _Address) -> dict[str, Any]:
    """What the server says of one document; some answer only whoever asks for it all."""
    import obstore  # noqa: PLC0415
    from obstore.exceptions import BaseError  # noqa: PLC0415

    try:
        return dict(obstore.head(store, address.key))
    except FileNotFoundError:
        raise
    except BaseError:
        return dict(obstore.get(store, address.key).meta)


def _content(address: _Address) -> tuple[dict[str, Any], Iterator[bytes]]:
    import obstore  # noqa: PLC0415

    answer = obstore.get(address.store(), address.key)
    return dict(answer.meta), (bytes(piece) for piece in answer.stream(min_chunk_size=_PIECE_BYTES))


def _document(source: _Address, address: _Address, meta: dict[str, Any]) -> DiscoveredDocument:
    inside = address.key.removeprefix(source.key).lstrip("/") if source != address else ""
    return DiscoveredDocument(
        uri=address.uri,
        name=shown(inside or address.key.rstrip("/").rpartition("/")[2]),
        source=source.uri,
        size_bytes=meta["size"],
        version=_version(meta),
    )


def _version(meta: dict[str, Any]) -> str:
    """The server's tag, else the time of modification and the size; a server that says neither hides changes."""
    if meta["e_tag"]:
        return f"etag {meta['e_tag']}"
    modified = meta["last_modified"]
    return f"modified {modified.isoformat() if modified > _UNSAID else 'unknown'} size {meta['size']}"


@contextmanager
def _told(address: _Address) -> Iterator[None]:
    """Whose fault it is: what is not there is the document's, everything else the world's."""
    from obstore.exceptions import BaseError  # noqa: PLC0415

    try:
        yield
    except FileNotFoundError as error:
        if address.scheme == "s3":
            _check_bucket(address)
        raise VanishedDocument("The server says that it is not there.") from error
    except BaseError as error:
        why = shown(str(error).split("\n", 1)[0])
        if "410 Gone" in why:
            raise VanishedDocument("The server says that it is gone for good.") from error
        if "content-length" in str(error).lower():
            raise UnreadableDocument("The server does not say how large it is.") from error
        raise DependencyUnavailable(address.server, why[:_MAX_WHY]) from error


def _check_bucket(address: _Address) -> None:
    """Raises `DependencyUnavailable` if the whole bucket is not there."""
    import obstore  # noqa: PLC0415
    from obstore.exceptions import BaseError  # noqa: PLC0415

    try:
        next(iter(obstore.list(address.store(), chunk_size=1)), None)
    except (FileNotFoundError, BaseError) as error:
        raise DependencyUnavailable(address.server, "its bucket cannot be listed now") from error
