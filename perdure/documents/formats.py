"""The table of the document formats that Perdure reads: one row a format.

To add a format, write one module with its extractor under `extraction/` and add one row here. Recognition, extraction,
the reason for a missing text, the names in reports and the warm-up of the parsers all follow from the row.
`docs/how-to/add-a-format.md` works through an example.
"""

from perdure.documents.format import Format
from perdure.documents.lazy_import import load
from perdure.documents.recognition.encryption import (
    is_presentation_encrypted,
    is_word_encrypted,
    is_workbook_encrypted,
)
from perdure.documents.recognition.recognisers import (
    compound_stream,
    is_book,
    magic,
    office_folder,
    open_document,
)
from perdure.documents.recognition.texts import claimed_text, is_html, is_mail, is_plain_text, is_xml
from perdure.errors import UnsupportedFormat

_EXTRACTION = "perdure.documents.extraction"
_PLAIN_TEXT = f"{_EXTRACTION}.text:extract_text"
_TABLE = f"{_EXTRACTION}.text:extract_table"
_WORKBOOK = f"{_EXTRACTION}.workbook:extract_workbook"
_OPEN_DOCUMENT = f"{_EXTRACTION}.open_document:extract_open_document"
_EMPTY = f"{_EXTRACTION}.missing_text:explain_empty"
_CONTAINER = f"{_EXTRACTION}.missing_text:explain_container"
_OOXML = "application/vnd.openxmlformats-officedocument"
_OASIS = "application/vnd.oasis.opendocument"


# Order matters. The first row that recognises a document reads it, so the last row, plain text, takes what is left.
FORMATS: tuple[Format, ...] = (
    Format(
        label="PDF",
        media_types=("application/pdf",),
        extensions=("pdf",),
        recognise=magic(b"%PDF-", within=1024),
        extractor=f"{_EXTRACTION}.pdf:extract_pdf",
        why_no_text=f"{_EXTRACTION}.pdf_pictures:explain_pdf",
        warm_up=f"{_EXTRACTION}.ocr:prepare",
    ),
    Format(
        label="RTF",
        media_types=("application/rtf", "text/rtf"),
        extensions=("rtf",),
        recognise=magic(b"{\\rtf"),
        extractor=f"{_EXTRACTION}.office:extract_rtf",
        why_no_text=f"{_EXTRACTION}.missing_text:explain_rtf",
    ),
    # The order of the compound formats matters: some writers put an embedded object beside the document's own streams.
    Format(
        label="Outlook message",
        media_types=("application/vnd.ms-outlook",),
        extensions=("msg",),
        recognise=compound_stream("__properties_version1.0"),
        extractor=f"{_EXTRACTION}.office:extract_message",
        why_no_text=_EMPTY,
    ),
    Format(
        label="PowerPoint (old)",
        media_types=("application/vnd.ms-powerpoint",),
        extensions=("ppt",),
        recognise=compound_stream("powerpoint document", is_encrypted=is_presentation_encrypted),
        extractor=f"{_EXTRACTION}.office:extract_presentation",
        why_no_text=f"{_EXTRACTION}.missing_text:explain_presentation",
    ),
    Format(
        label="Word (old)",
        media_types=("application/msword",),
        extensions=("doc",),
        recognise=compound_stream("worddocument", is_encrypted=is_word_encrypted),
        extractor=f"{_EXTRACTION}.office:extract_document",
        why_no_text=_EMPTY,
    ),
    Format(
        label="Excel (old)",
        media_types=("application/vnd.ms-excel",),
        extensions=("xls",),
        recognise=compound_stream("workbook", "book", is_encrypted=is_workbook_encrypted),
        extractor=_WORKBOOK,
        why_no_text=_EMPTY,
    ),
    Format(
        label="OpenDocument text",
        media_types=(f"{_OASIS}.text",),
        extensions=("odt", "ott", "odm"),
        recognise=open_document(f"{_OASIS}.text"),
        extractor=_OPEN_DOCUMENT,
        why_no_text=_CONTAINER,
    ),
    Format(
        label="OpenDocument sheet",
        media_types=(f"{_OASIS}.spreadsheet",),
        extensions=("ods", "ots"),
        recognise=open_document(f"{_OASIS}.spreadsheet"),
        extractor=f"{_EXTRACTION}.workbook:extract_open_sheet",
        why_no_text=_CONTAINER,
    ),
    Format(
        label="OpenDocument presentation",
        media_types=(f"{_OASIS}.presentation",),
        extensions=("odp", "otp"),
        recognise=open_document(f"{_OASIS}.presentation"),
        extractor=_OPEN_DOCUMENT,
        why_no_text=_CONTAINER,
    ),
    Format(
        label="Word",
        media_types=(f"{_OOXML}.wordprocessingml.document",),
        extensions=("docx", "docm", "dotx"),
        recognise=office_folder("word/"),
        extractor=f"{_EXTRACTION}.word:extract_word",
        why_no_text=_CONTAINER,
    ),
    Format(
        label="PowerPoint",
        media_types=(f"{_OOXML}.presentationml.presentation",),
        extensions=("pptx", "pptm", "potx"),
        recognise=office_folder("ppt/"),
        extractor=f"{_EXTRACTION}.slides:extract_slides",
        why_no_text=_CONTAINER,
    ),
    Format(
        label="Excel",
        media_types=(f"{_OOXML}.spreadsheetml.sheet",),
        extensions=("xlsx", "xlsm", "xltx"),
        recognise=office_folder("xl/"),
        extractor=_WORKBOOK,
        why_no_text=_CONTAINER,
    ),
    Format(
        label="EPUB",
        media_types=("application/epub+zip",),
        extensions=("epub",),
        recognise=is_book,
        extractor=f"{_EXTRACTION}.office:extract_book",
        why_no_text=_CONTAINER,
    ),
    Format(
        label="HTML",
        media_types=("text/html",),
        extensions=("html", "htm", "xhtml"),
        claims_extensions=True,
        recognise=is_html,
        extractor=f"{_EXTRACTION}.html:extract_html",
        why_no_text=f"{_EXTRACTION}.missing_text:explain_html",
    ),
    Format(
        label="XML",
        media_types=("application/xml",),
        extensions=("xml",),
        claims_extensions=True,
        recognise=is_xml,
        extractor=_PLAIN_TEXT,
        why_no_text=_EMPTY,
    ),
    Format(
        label="E-mail",
        media_types=("message/rfc822",),
        extensions=("eml",),
        claims_extensions=True,
        recognise=is_mail,
        extractor=f"{_EXTRACTION}.mail:extract_mail",
        why_no_text=_EMPTY,
    ),
    Format(
        label="CSV",
        media_types=("text/csv",),
        extensions=("csv",),
        claims_extensions=True,
        recognise=claimed_text("text/csv"),
        extractor=_TABLE,
        why_no_text=_EMPTY,
    ),
    Format(
        label="TSV",
        media_types=("text/tab-separated-values",),
        extensions=("tsv", "tab"),
        claims_extensions=True,
        recognise=claimed_text("text/tab-separated-values"),
        extractor=_TABLE,
        why_no_text=_EMPTY,
    ),
    Format(
        label="JSON",
        media_types=("application/json",),
        extensions=("json",),
        claims_extensions=True,
        recognise=claimed_text("application/json"),
        extractor=_PLAIN_TEXT,
        why_no_text=_EMPTY,
    ),
    Format(
        label="Markdown",
        media_types=("text/markdown",),
        extensions=("md", "markdown"),
        claims_extensions=True,
        recognise=claimed_text("text/markdown"),
        extractor=f"{_EXTRACTION}.markdown:extract_markdown",
        why_no_text=_EMPTY,
    ),
    Format(
        label="Plain text",
        media_types=("text/plain",),
        extensions=("txt",),
        claims_extensions=True,
        recognise=is_plain_text,
        extractor=_PLAIN_TEXT,
        why_no_text=_EMPTY,
    ),
)


def format_of(media_type: str) -> Format:
    """Return the row of a media type.

    Raises:
        UnsupportedFormat: no row has this media type.
    """
    row = _find(media_type)
    if row is None:
        raise UnsupportedFormat(f"The file is of the type {media_type}, which is not read here.")
    return row


def label_of(media_type: str) -> str:
    """Return the name in reports of a media type; the media type itself if no row has it."""
    row = _find(media_type)
    return row.label if row else media_type


def claimed_type(name: str) -> str:
    """Return the media type of the text format that a file name's extension claims.

    The media type is that of plain text if the extension claims none.
    """
    extension = name.rsplit(".", 1)[-1].lower() if "." in name else ""
    rows = (row for row in FORMATS if row.claims_extensions and extension in row.extensions)
    return next(rows, FORMATS[-1]).media_type


def warm_up() -> None:
    """Import every extractor before the first document.

    No document then waits for an import, and no confined process opens a library's file.
    """
    for row in FORMATS:
        load(row.extractor)
        load(row.why_no_text)
        if row.warm_up:
            load(row.warm_up)()


def _find(media_type: str) -> Format | None:
    return next((row for row in FORMATS if media_type in row.media_types), None)
