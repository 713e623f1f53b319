"""Documents in an S3-compatible object store: `s3://bucket/prefix/`."""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from perdure.documents.document import DiscoveredDocument
from perdure.documents.sources.remote import RemoteAddress, RemoteSource, client_options, remote_document
from perdure.errors import DependencyUnavailable

if TYPE_CHECKING:
    from obstore.store import S3Store

_PAGE_OBJECTS = 1000


class ObjectStoreSource(RemoteSource):
    """A bucket, a prefix or one object; implements `Source`."""

    schemes = ("s3",)
    needs_key = False

    def open_store(self, address: RemoteAddress) -> "S3Store":
        """Return obstore's client for the bucket, with the credentials of the environment."""
        from obstore.store import S3Store  # noqa: PLC0415 - most runs do not use it

        return S3Store(address.host, **client_options())

    def list_documents(self, address: RemoteAddress) -> Iterator[DiscoveredDocument]:
        """Yield the object of this key and each object below the prefix, in the store's order.

        Raises:
            DependencyUnavailable: see `RemoteSource.list_documents`.
        """
        import obstore  # noqa: PLC0415 - most runs do not use it

        store = self.open_store(address)
        if address.key and not address.key.endswith("/"):
            # Without an object of this key, the key is a prefix only.
            with self.faults_of(address), suppress(FileNotFoundError):
                yield remote_document(address, address, dict(obstore.head(store, address.key)))
        with self.faults_of(address):
            for page in obstore.list(store, prefix=address.key or None, chunk_size=_PAGE_OBJECTS):
                for entry in page:
                    if entry["size"] or not entry["path"].endswith("/"):
                        member = RemoteAddress("s3", address.host, entry["path"])
                        yield remote_document(address, member, dict(entry))

    def check_store(self, address: RemoteAddress) -> None:
        """Raise `DependencyUnavailable` if the whole bucket is not there."""
        import obstore  # noqa: PLC0415 - most runs do not use it
        from obstore.exceptions import BaseError  # noqa: PLC0415

        try:
            next(iter(obstore.list(self.open_store(address), chunk_size=1)), None)
        except (FileNotFoundError, BaseError) as error:
            raise DependencyUnavailable(address.server, "its bucket cannot be listed now") from error
