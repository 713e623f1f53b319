"""A file attached to a mail: `attachment+file:///a.eml!/2` is the second file of `a.eml`."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from perdure.documents.opened import OpenedDocument, content_of, spool
from perdure.documents.sources import attachments
from perdure.documents.sources.container import ContainerSource
from perdure.documents.sources.file import FileSource
from perdure.documents.sources.hashing import hash_pieces
from perdure.documents.sources.source import Source
from perdure.errors import EmptyDocument


class AttachmentSource(FileSource):
    """An attachment as a document; implements `Source`. A user cannot name one as a source.

    Args:
        containers: the kinds of files that are taken apart.
        find_source: returns the kind of source that opens the mail itself.
    """

    def __init__(self, containers: Sequence[ContainerSource], find_source: Callable[[str], Source]) -> None:
        super().__init__(containers)
        self._find_source = find_source

    def matches(self, address: str) -> bool:
        """Return whether an address names an attachment."""
        return address.startswith(attachments.SCHEME)

    def open(self, uri: str, root: Callable[[], Path], max_bytes: int) -> OpenedDocument:
        """Write the attachment to a temporary file without a name, and open that; see `Source.open`."""
        mail, key = _split(uri)
        content = attachments.read_attachment(self._read_mail(mail, root), key)
        if not content:
            raise EmptyDocument("The file is empty.")
        return spool([content], lambda: attachments.version(content), max_bytes)

    def version(self, uri: str) -> str | None:
        """Return the attachment's SHA-256; see `Source.version`."""
        return hash_pieces(self._pieces(uri))

    def _pieces(self, uri: str) -> Iterator[bytes]:
        mail, key = _split(uri)
        yield attachments.read_attachment(self._read_mail(mail, lambda: self._find_source(mail).root(mail)), key)

    def _read_mail(self, mail: str, root: Callable[[], Path]) -> bytes:
        opened = self._find_source(mail).open(mail, root, attachments.MAX_MAIL_BYTES)
        try:
            return content_of(opened.descriptor, attachments.MAX_MAIL_BYTES)
        finally:
            opened.close()


def _split(uri: str) -> tuple[str, str]:
    """Return the URI of the mail and the key of the attachment."""
    mail, _, key = uri.removeprefix(attachments.SCHEME).rpartition("!/")
    return mail, key
