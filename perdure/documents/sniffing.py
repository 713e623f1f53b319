"""Recognises the media type of a document by its content.

The extension of the name decides only between kinds of plain text.
"""

from perdure.documents import formats
from perdure.documents.recognition.sample import Sample


def sniff(content: bytes, name: str) -> str:
    """Return the media type of a document.

    Args:
        content: the whole file.
        name: name of the file; only its extension is used.

    Raises:
        UnsupportedFormat: no row of the table of formats recognises the document.
        EncryptedDocument, DamagedDocument: the container is encrypted or damaged.
    """
    sample = Sample(content, formats.claimed_type(name))
    for row in formats.FORMATS:
        if row.recognise(sample):
            return row.media_type
    raise sample.refusal()
