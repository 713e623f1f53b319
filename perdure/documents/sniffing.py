"""What a document is, by its content; its name only decides between kinds of plain text."""

import io
import struct
import zipfile

from perdure.documents.compound import MAGIC, CompoundFile
from perdure.errors import DamagedDocument, EncryptedDocument, UnsupportedFormat

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ODT = "application/vnd.oasis.opendocument.text"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
ODP = "application/vnd.oasis.opendocument.presentation"
EPUB = "application/epub+zip"
RTF = "application/rtf"
DOC = "application/msword"
XLS = "application/vnd.ms-excel"
PPT = "application/vnd.ms-powerpoint"
MSG = "application/vnd.ms-outlook"
HTML = "text/html"
EML = "message/rfc822"
CSV = "text/csv"
TSV = "text/tab-separated-values"
MARKDOWN = "text/markdown"
JSON = "application/json"
XML = "application/xml"
PLAIN = "text/plain"

_OFFICE_PARTS = {"word/": DOCX, "ppt/": PPTX, "xl/": XLSX}
_MIMETYPE_MEMBER = {
    **{f"{kind}{suffix}": kind for kind in (ODT, ODS, ODP) for suffix in ("", "-template", "-master")},
    EPUB: EPUB,
}
# In this order: an embedded object stands in a storage of its own, but some writers put it beside the document.
_COMPOUND_STREAMS = {
    "__properties_version1.0": MSG,
    "powerpoint document": PPT,
    "worddocument": DOC,
    "workbook": XLS,
    "book": XLS,
}
_BINARY_MAGIC = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
    b"BM": "a bitmap image",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"SQLite format 3": "a SQLite database",
    b"OggS": "an audio file",
    b"ID3": "an audio file",
}
_HTML_TAGS = (b"<!doctype html", b"<html", b"<head", b"<body", b"<div", b"<p>", b"<table", b"<h1", b"<span", b"<script")
_MAIL_HEADERS = (b"from", b"received", b"return-path", b"mime-version", b"message-id", b"date", b"to", b"subject",
                 b"delivered-to", b"content-type", b"x-", b"reply-to", b"sender")  # fmt: skip
_BY_EXTENSION = {
    "html": HTML, "htm": HTML, "xhtml": HTML, "eml": EML, "csv": CSV,
    "tsv": TSV, "tab": TSV, "json": JSON, "xml": XML, "md": MARKDOWN, "markdown": MARKDOWN,
}  # fmt: skip
_HEAD_BYTES = 4096
_PDF_HEADER_WITHIN = 1024
_MIMETYPE_BYTES = 200
_FILE_PASS = 0x002F


def sniff(content: bytes, name: str) -> str:
    """The media type of a document's bytes.

    Raises:
        UnsupportedFormat: it is something that cannot be read here.
        EncryptedDocument, DamagedDocument: that shows already in the container.
    """
    if b"%PDF-" in content[:_PDF_HEADER_WITHIN]:
        return PDF
    if content.startswith(b"{\\rtf"):
        return RTF
    if content.startswith(MAGIC):
        return _compound(content)
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zipped(content)
    # Checked for text first: "BM" and "MZ" begin words as well.
    if not _looks_like_text(content[:_HEAD_BYTES]):
        for magic, what in _BINARY_MAGIC.items():
            if content.startswith(magic):
                raise UnsupportedFormat(f"The file is {what}, which is not read here.")
    return _textual(content, name)


def _looks_like_text(head: bytes) -> bool:
    return b"\0" not in head and sum(byte < 9 or 13 < byte < 27 for byte in head) == 0  # noqa: PLR2004 - ASCII controls


def _compound(content: bytes) -> str:
    file = CompoundFile(content)
    streams = file.streams()
    if "encryptedpackage" in streams:
        raise EncryptedDocument("The document is protected by a password.")
    for stream, media_type in _COMPOUND_STREAMS.items():
        if stream in streams:
            if _is_encrypted(file, media_type, stream):
                raise EncryptedDocument("The document is protected by a password.")
            return media_type
    if not streams:
        raise DamagedDocument("The file is a Microsoft compound file, but its directory cannot be read.")
    raise UnsupportedFormat(
        "The file is a Microsoft compound file, but no Word, Excel, PowerPoint or Outlook document."
    )


def _is_encrypted(file: CompoundFile, media_type: str, stream: str) -> bool:
    """After [MS-DOC] FibBase.fEncrypted, [MS-XLS] FilePass and [MS-PPT] CurrentUserAtom.headerToken."""
    if media_type == DOC:
        head = file.head(stream, 12)
        return len(head) == 12 and bool(head[11] & 1)  # noqa: PLR2004 - flags at 10, encryption is bit 8
    if media_type == PPT:
        return file.head("current user", 16)[12:16] == b"\xdf\xc4\xd1\xf3"
    if media_type == XLS:
        head, offset = file.head(stream, _HEAD_BYTES), 0
        while offset + 4 <= len(head):
            record, length = struct.unpack_from("<HH", head, offset)
            if record == _FILE_PASS:
                return True
            offset += 4 + length
    return False


def _zipped(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            if "mimetype" in names:
                with archive.open("mimetype") as member:
                    declared = member.read(_MIMETYPE_BYTES).decode("ascii", "replace").strip()
                if declared in _MIMETYPE_MEMBER:
                    return _MIMETYPE_MEMBER[declared]
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        if "encrypted" in str(error):
            raise EncryptedDocument("The document is protected by a password.") from error
        raise DamagedDocument("The file begins like a ZIP container, but its directory cannot be read.") from error
    for folder, media_type in _OFFICE_PARTS.items():
        if any(name.startswith(folder) for name in names) and "[Content_Types].xml" in names:
            return media_type
    if "META-INF/container.xml" in names:
        return EPUB
    if any(name.startswith("Index/") and name.endswith(".iwa") for name in names):
        raise UnsupportedFormat("The file is an Apple iWork document, which is not read here.")
    raise UnsupportedFormat("The file is a ZIP archive, but no document of a format that is read here.")


def _textual(content: bytes, name: str) -> str:
    head = content[:_HEAD_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    extension = name.rsplit(".", 1)[-1].lower() if "." in name else ""
    declared = _BY_EXTENSION.get(extension, PLAIN)
    if head.startswith((b"<!doctype html", b"<html")) or (declared != MARKDOWN and head.startswith(_HTML_TAGS)):
        return HTML
    if head.startswith(b"<?xml"):
        return HTML if b"<html" in head else XML
    if declared == PLAIN and _is_mail(head):
        return EML
    return declared


def _is_mail(head: bytes) -> bool:
    """At least three of the first lines are mail headers, with nothing else before them."""
    found = 0
    for line in head.replace(b"\r\n", b"\n").split(b"\n"):
        if not line or line[:1] in b" \t":
            if not line:
                break
            continue
        key, colon, _ = line.partition(b":")
        if not colon or b" " in key.strip():
            if line.startswith(b"from ") and not found:  # the envelope line of a mailbox
                continue
            return False
        found += key.strip().startswith(_MAIL_HEADERS)
    return found >= 3  # noqa: PLR2004 - fewer occur in ordinary text
