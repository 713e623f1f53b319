"""The tests by which a row of the table of formats recognises its documents.

Each function here returns a recogniser: given a `Sample`, the recogniser returns whether the sample is of the format.
"""

from collections.abc import Callable

from perdure.documents.lazy_import import load
from perdure.documents.recognition.compound import CompoundFile
from perdure.documents.recognition.sample import Sample
from perdure.errors import EncryptedDocument

Recogniser = Callable[[Sample], bool]
IsEncrypted = Callable[[CompoundFile, str], bool]

_BOOK = "application/epub+zip"


def magic(value: bytes, *, within: int = 0) -> Recogniser:
    """Return a recogniser of magic bytes.

    The bytes stand at the beginning of the file, or anywhere in its first `within` bytes.
    """
    if within:
        return lambda sample: value in sample.content[:within]
    return lambda sample: sample.content.startswith(value)


def compound_stream(*names: str, is_encrypted: IsEncrypted | None = None) -> Recogniser:
    """Return a recogniser of compound files with one of these streams at the top level.

    Args:
        names: names of streams, in lower case; the first of these streams that the file holds counts.
        is_encrypted: tells from the file and the name of the stream whether a password protects the document.
    """

    def recognise(sample: Sample) -> bool:
        name = next((name for name in names if name in sample.streams), None)
        if name is None or sample.compound is None:
            return False
        if is_encrypted and is_encrypted(sample.compound, name):
            raise EncryptedDocument("The document is protected by a password.")
        return True

    return recognise


def open_document(media_type: str) -> Recogniser:
    """Return a recogniser of OpenDocument files, with their templates and master documents."""
    declared = {f"{media_type}{suffix}" for suffix in ("", "-template", "-master")}
    return lambda sample: sample.mimetype in declared


def office_folder(folder: str) -> Recogniser:
    """Return a recogniser of Office Open XML containers that hold this folder."""

    def recognise(sample: Sample) -> bool:
        # A book that declares its type is a book, whatever other content its container has.
        if sample.mimetype == _BOOK or "[Content_Types].xml" not in sample.members:
            return False
        return any(name.startswith(folder) for name in sample.members)

    return recognise


def is_book(sample: Sample) -> bool:
    """Return whether the sample is an EPUB, which some writers forget to declare."""
    return sample.mimetype == _BOOK or "META-INF/container.xml" in sample.members


def by_function(reference: str) -> Recogniser:
    """Return a recogniser that calls a function of an extractor's module.

    Args:
        reference: `module:function`; the module is imported when the first document is recognised.
    """
    return lambda sample: bool(load(reference)(sample))
