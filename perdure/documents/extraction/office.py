"""Word, Excel, PowerPoint, OpenDocument, RTF, EPUB and Outlook through Kreuzberg."""

import io
import re
import sys
import zipfile
from typing import Any

import kreuzberg

from perdure.documents import sniffing
from perdure.documents.compound import CompoundFile
from perdure.documents.document import Section, Table
from perdure.documents.extraction.container_metadata import book_properties, open_document_properties
from perdure.documents.extraction.extracted import Extracted, joined_pages
from perdure.documents.extraction.nodes import structured
from perdure.documents.extraction.open_document import extract_open_document
from perdure.documents.extraction.slides import extract_slides
from perdure.documents.extraction.structure import one_line
from perdure.errors import DamagedDocument, DocumentTooLarge, EncryptedDocument

MAX_UNPACKED_BYTES = 1024 * 1024 * 1024
MAX_RATIO = 200
"""A container that unpacks to more than this times its size, and to more than a few megabytes, is a bomb."""
RATIO_FROM_BYTES = 64 * 1024 * 1024

_PROPERTIES = ("title", "subject", "authors", "keywords", "language", "created_at", "modified_at", "created_by",
               "modified_by", "sheet_names", "slide_count", "page_count")  # fmt: skip
_CONFIG = kreuzberg.ExtractionConfig(use_cache=False, disable_ocr=True, include_document_structure=True)  # type: ignore[call-arg] # its stubs lag
_WORKBOOKS = (sniffing.XLSX, sniffing.XLS, sniffing.ODS)
_WORD_PART = re.compile(r"word/[a-z0-9]+\.xml")
# Kreuzberg 4.10 drops character references from DOCX: "Harbour &amp; Finch" becomes "Harbour  Finch", "it&#8217;s"
# "its". Those of markup characters travel through it as private-use characters, all others as what they stand for.
_REFERENCE = re.compile(rb"&(?:(amp|lt|gt|quot|apos)|#([0-9]{1,7})|#x([0-9a-fA-F]{1,6}));")
_NAMED = {b"amp": 38, b"lt": 60, b"gt": 62, b"quot": 34, b"apos": 39}
_SHIELDS = {38: 0xE001, 60: 0xE002, 62: 0xE003, 34: 0xE004, 39: 0xE005}
_UNSHIELD = {shield: character for character, shield in _SHIELDS.items()}
_ALGORITHM = re.compile(rb"EncryptionMethod[^<>]*\bAlgorithm\s*=\s*[\"']([^\"'<>]*)")
_OF_FONTS = {b"http://www.idpf.org/2008/embedding", b"http://ns.adobe.com/pdf/enc#RC"}
_NAMELESS_PICTURE = re.compile(r"^\[Image: image\]$\n*", re.MULTILINE)
_UNICODE_ESCAPE = re.compile(r"\\u(-?\d{1,5}) ?(?:\\'[0-9a-fA-F]{2}|\?)?")
_BYTE_ESCAPE = re.compile(r"\\'([0-9a-fA-F]{2})")
_MASTER_LINES = re.compile(
    r"\A(?:\s*(?:Click to edit Master (?:title|subtitle|text) styles?|(?:Second|Third|Fourth|Fifth) level)\s*$)+\s*",
    re.MULTILINE,
)


def extract_office(content: bytes, media_type: str) -> Extracted:
    """Text and properties.

    Raises:
        EncryptedDocument: its text is encrypted.
        DocumentTooLarge: it unpacks to more than the limit.
        DamagedDocument: it cannot be parsed.
    """
    if content.startswith(b"PK"):
        _check_container(content)
    if media_type == sniffing.PPTX:
        return extract_slides(content)
    if media_type in (sniffing.ODT, sniffing.ODP):
        return extract_open_document(content)
    result = _parsed(_shielded(content) if media_type == sniffing.DOCX else content, media_type)
    properties = _properties(result.metadata) | _more_properties(content, media_type)
    title = str(properties.pop("title", "")) or None
    if media_type in _WORKBOOKS and result.tables:
        return _workbook(result, title, properties)
    text = result.content.translate(_UNSHIELD) if media_type == sniffing.DOCX else result.content
    if media_type == sniffing.RTF:
        text = _NAMELESS_PICTURE.sub("", text)
    if media_type == sniffing.PPT:
        text = _MASTER_LINES.sub("", text)
    if media_type == sniffing.MSG:
        names = [f"[Attachment: {name}]" for name in result.metadata.get("attachments") or ()]
        text, title = "\n\n".join([text, *names]), title or str(result.metadata.get("subject") or "") or None
    text, sections, tables = structured(text, (result.document or {}).get("nodes") or (), _UNSHIELD)
    return Extracted(text, title, properties=properties, sections=sections, tables=tables)


def _parsed(content: bytes, media_type: str) -> Any:
    try:
        return kreuzberg.extract_bytes_sync(content, media_type, config=_CONFIG)
    except MemoryError:
        raise
    except Exception as error:  # Kreuzberg raises RuntimeError beside its own classes
        said = str(error).lower()
        if "password" in said or "encrypt" in said:
            raise EncryptedDocument("The document is protected by a password.") from error
        if "malformed fat" in said and len(padded := CompoundFile(content).padded()) > len(content):
            return _parsed(padded, media_type)
        raise DamagedDocument("The document is damaged: its content breaks the rules of its format.") from error


def _workbook(result: Any, title: str | None, properties: dict[str, Any]) -> Extracted:
    """One page a sheet: its name, then a line a row with the cells separated by tabs."""
    names = dict(enumerate(result.metadata.get("sheet_names") or [], start=1))
    rows: dict[int, list[tuple[str, ...]]] = {number: [] for number in names}
    for table in result.tables:
        cells = [tuple(one_line(cell).removesuffix(" 00:00:00") for cell in row) for row in table.cells]
        rows.setdefault(table.page_number, []).extend(row for row in cells if any(row))
    numbers = sorted(rows)
    lines = {number: ["\t".join(row).rstrip("\t") for row in rows[number]] for number in numbers}
    sheets = ["\n".join([*([names[number]] if number in names else []), *lines[number]]) for number in numbers]
    text, offsets = joined_pages(sheets)
    sections = [Section(at, 1, names[one]) for one, at in zip(numbers, offsets, strict=True) if one in names]
    tables = []
    for page, (number, offset, sheet) in enumerate(zip(numbers, offsets, sheets, strict=True), start=1):
        if rows[number]:
            end = offset + len(sheet)
            tables.append(Table(end - len("\n".join(lines[number])), end, tuple(rows[number]), page))
    return Extracted(text, title, offsets, properties, sections=tuple(sections), tables=tuple(tables))


def _check_container(content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            manifest = _member(archive, "META-INF/manifest.xml")
            encrypted = any(member.flag_bits & 1 for member in members) or b"encryption-data" in manifest
            locked = _locks(_member(archive, "META-INF/encryption.xml")) - _OF_FONTS
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise DamagedDocument("The document's container is damaged.") from error
    if encrypted:
        raise EncryptedDocument("The document is protected by a password.")
    if locked:
        raise EncryptedDocument("The document is protected by its publisher's rights management.")
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_UNPACKED_BYTES or (unpacked > RATIO_FROM_BYTES and unpacked > MAX_RATIO * len(content)):
        raise DocumentTooLarge(f"The document unpacks to {unpacked // 2**20} MB, which is not believable.")


def _locks(encryption: bytes) -> set[bytes]:
    """How parts of an EPUB are encrypted; fonts often are, and nobody minds."""
    return set(_ALGORITHM.findall(encryption))


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        with archive.open(name) as member:
            return member.read(1024 * 1024)
    except KeyError:
        return b""


def _shielded(content: bytes) -> bytes:
    """The same DOCX with its character references replaced by private-use characters."""
    out = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(out, "w") as copy:
            for member in archive.infolist():
                part = archive.read(member)
                if _WORD_PART.fullmatch(member.filename) and b"&" in part and b"<!DOCTYPE" not in part[:1024]:
                    part = _REFERENCE.sub(_shield, part)
                copy.writestr(member.filename, part)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise DamagedDocument("The document's container is damaged.") from error
    return out.getvalue()


def _shield(reference: re.Match[bytes]) -> bytes:
    named, decimal, hexadecimal = reference.groups()
    character = _NAMED[named] if named else int(decimal) if decimal else int(hexadecimal, 16)
    if character < ord(" ") or 0xD800 <= character < 0xE000 or character > sys.maxunicode:  # noqa: PLR2004 - surrogates
        return b" "
    return chr(_SHIELDS.get(character, character)).encode()


def _more_properties(content: bytes, media_type: str) -> dict[str, Any]:
    """What Kreuzberg does not tell of a format."""
    if media_type not in (sniffing.ODS, sniffing.EPUB):
        return {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return open_document_properties(archive) if media_type == sniffing.ODS else book_properties(archive)


def _properties(metadata: Any) -> dict[str, Any]:
    found = {key: _unescaped(metadata.get(key)) for key in _PROPERTIES}
    return {key: value for key, value in found.items() if value not in (None, "", [])}


def _unescaped(value: Any) -> Any:
    """Without the escapes of RTF, which Kreuzberg leaves in what an RTF says of itself."""
    if isinstance(value, list):
        return [_unescaped(one) for one in value]
    if not isinstance(value, str) or "\\" not in value:
        return value
    # A character beyond the first plane is two of them, as in UTF-16.
    text = _UNICODE_ESCAPE.sub(lambda found: chr(int(found.group(1)) & 0xFFFF), value)
    text = _BYTE_ESCAPE.sub(lambda found: bytes.fromhex(found.group(1)).decode("cp1252", "replace"), text)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
