"""One document on a web server: `https://host/path`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from perdure.documents.document import DiscoveredDocument
from perdure.documents.sources.remote import RemoteAddress, RemoteSource, client_options, remote_document

if TYPE_CHECKING:
    from obstore.store import HTTPStore


class WebServerSource(RemoteSource):
    """A web address; implements `Source`."""

    schemes = ("http", "https")

    def open_store(self, address: RemoteAddress) -> "HTTPStore":
        """Return obstore's client for the web server."""
        from obstore.store import HTTPStore  # noqa: PLC0415 - most runs do not use it

        return HTTPStore.from_url(address.server, **client_options())

    def list_documents(self, address: RemoteAddress) -> Iterator[DiscoveredDocument]:
        """Yield the document at the address; see `RemoteSource.list_documents`."""
        with self.faults_of(address):
            meta = self.describe(address)
        yield remote_document(address, address, meta)
