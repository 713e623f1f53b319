"""Makes small documents of every format, and damaged and hostile ones."""

import codecs
import io
import struct
import zipfile
from email.message import EmailMessage
from typing import Any

import docx
import pikepdf
import pptx
import xlsxwriter
from ebooklib import epub
from odf.opendocument import OpenDocumentText
from odf.text import P
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

SENTENCE = "Harbour & Finch <Ltd> wrote “it’s 5 > 3” to café Łódź."  # noqa: RUF001 - the signs are the point


def make_pdf(*pages: str, **options: Any) -> bytes:
    """Return a PDF with a line of text on each page; a page without text shows a black square."""
    out = io.BytesIO()
    canvas = Canvas(out, invariant=True, **options)
    for page in pages:
        if page:
            canvas.drawString(72, 720, page)
        else:
            canvas.rect(72, 72, 100, 100, fill=1)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def make_encrypted_pdf(user_password: str) -> bytes:
    """Return a PDF that opens with a password; an empty password only forbids changes."""
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(make_pdf("A secret"))) as document:
        document.save(out, encryption=pikepdf.Encryption(owner="owner", user=user_password))
    return out.getvalue()


def make_word(text: str = SENTENCE) -> bytes:
    """Return a DOCX with one paragraph."""
    document = docx.Document()
    out = io.BytesIO()
    document.core_properties.title = "A & B"
    document.add_paragraph(text)
    document.save(out)
    return out.getvalue()


def make_slides(*texts: str) -> bytes:
    """Return a PPTX with a slide a text, with the text as title and in the notes."""
    presentation = pptx.Presentation()
    out = io.BytesIO()
    for text in texts:
        slide = presentation.slides.add_slide(presentation.slide_layouts[5])
        slide.shapes.title.text = text
        slide.notes_slide.notes_text_frame.text = f"Said with {text}"
    presentation.save(out)
    return out.getvalue()


def make_workbook(**sheets: list[list[object]]) -> bytes:
    """Return an XLSX with the rows of cells of each sheet."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for index, row in enumerate(rows):
                sheet.write_row(index, 0, row)
    return out.getvalue()


def make_open_document(text: str = SENTENCE) -> bytes:
    """Return an ODT with one paragraph."""
    document = OpenDocumentText()
    out = io.BytesIO()
    document.text.addElement(P(text=text))
    document.save(out)
    return out.getvalue()


def make_book(text: str) -> bytes:
    """Return an EPUB with one chapter.

    Args:
        text: the text of the chapter, as markup.
    """
    made = epub.EpubBook()
    out = io.BytesIO()
    made.set_identifier("made")
    made.set_title("A & B")
    chapter = epub.EpubHtml(title="One", file_name="one.xhtml")
    chapter.content = f"<h1>One</h1><p>{text}</p>"
    made.add_item(chapter)
    made.spine = [chapter]
    made.add_item(epub.EpubNcx())
    epub.write_epub(out, made)
    return out.getvalue()


def make_mail(body: str, *attachments: str) -> bytes:
    """Return a mail with attachments of these names."""
    message = EmailMessage()
    message["From"] = "Clara <clara@harbour.example>"
    message["To"] = "bo@acme.example"
    message["Subject"] = "Größe"
    message["Date"] = "Tue, 05 Mar 2024 10:00:00 +0000"
    message.set_content(body)
    for name in attachments:
        message.add_attachment(b"\0\1\2", maintype="application", subtype="octet-stream", filename=name)
    return bytes(message)


def make_zip(members: dict[str, bytes]) -> bytes:
    """Return a ZIP archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def change_member(content: bytes, member: str, change: Any) -> bytes:
    """Return the same container with the content of one member changed by a function."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return make_zip({
            name: change(archive.read(name)) if name == member else archive.read(name) for name in archive.namelist()
        })  # fmt: skip


def make_compound(streams: dict[str, bytes]) -> bytes:
    """Return a minimal compound file.

    It holds the header, one sector of allocation table, the directory, and the streams.
    """
    sectors: list[bytes] = []
    table = [0xFFFFFFFD]
    entries = [("Root Entry", 5, 0xFFFFFFFF, 1, 0xFFFFFFFE, 0)]
    first_data = 1 + -(-(len(streams) + 1) // 4)
    for index, (name, content) in enumerate(streams.items(), start=1):
        padded = content.ljust(4096, b"\0")
        padded += bytes(-len(padded) % 512)
        right = index + 1 if index < len(streams) else 0xFFFFFFFF
        entries.append((name, 2, right, 0xFFFFFFFF, first_data + len(sectors), len(padded)))
        sectors += [padded[at : at + 512] for at in range(0, len(padded), 512)]
    directory = b"".join(_directory_entry(*entry) for entry in entries)
    directory += bytes(-len(directory) % 512)
    table += [*range(2, first_data), 0xFFFFFFFE]
    position = first_data
    for *_, size in entries[1:]:
        table += [*range(position + 1, position + size // 512), 0xFFFFFFFE]
        position += size // 512
    fat = struct.pack("<128I", *table, *[0xFFFFFFFF] * (128 - len(table)))
    header = struct.pack("<8s16sHHHHH6xIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 62, 3, 0xFFFE, 9, 6,
                         0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)  # fmt: skip
    return header + struct.pack("<109I", 0, *[0xFFFFFFFF] * 108) + fat + directory + b"".join(sectors)


def _directory_entry(name: str, kind: int, right: int, child: int, start: int, size: int) -> bytes:
    raw = name.encode("utf-16-le") + b"\0\0"
    return struct.pack("<64sHBBIII36xIII", raw, len(raw), kind, 1, 0xFFFFFFFF, right, child, start, size, 0)


def _nested_mail(depth: int) -> bytes:
    lines = [b"From: a@b.example", b"Subject: nested", b"MIME-Version: 1.0"]
    for level in range(depth):
        lines += [f"Content-Type: multipart/mixed; boundary=b{level}".encode(), b"", f"--b{level}".encode()]
    return b"\r\n".join([*lines, b"Content-Type: text/plain", b"", b"innermost"])


_ENTITIES = (
    "<!DOCTYPE x [<!ENTITY a 'lol'>"
    + "".join(f"<!ENTITY {chr(98 + i)} '{f'&{chr(97 + i)};' * 10}'>" for i in range(9))
    + "]>"
)


def make_hostile_documents() -> dict[str, bytes]:
    """Return hostile and damaged files by name.

    Each file must end as a processed document or with a reason.
    """
    bomb = _ENTITIES.encode() + b"<w:document><w:p>&j;</w:p></w:document>"
    return {
        "bomb.docx": change_member(make_word(), "word/document.xml", lambda xml: xml + b" " * 300_000_000),
        "entities.docx": change_member(make_word(), "word/document.xml", lambda _: b"<?xml version='1.0'?>" + bomb),
        "entities.pptx": change_member(make_slides("x"), "ppt/slides/slide1.xml", lambda _: bomb),
        "entities.xml": b"<?xml version='1.0'?>" + bomb,
        "unbroken.txt": b"a" * 1_000_000,
        "brackets.txt": b"(" * 200_000,
        "deep.html": b"<div>" * 200_000 + b"the bottom",
        "unclosed.html": b"<html>" + b"<a<b " * 200_000,
        "binary.html": b"<html>" + bytes(range(256)) * 50,
        "nested.eml": _nested_mail(500),
        "headers.eml": b'From: =?utf-8?b?////?=\r\nTo: "\r\nSubject: =?x-no?q?=FF?=\r\nDate: never\r\n\r\nHi',
        "encrypted.xlsx": make_compound({"EncryptionInfo": b"x", "EncryptedPackage": b"y"}),
        "encrypted.doc": make_compound({"WordDocument": b"\xec\xa5\xc1\0" + bytes(6) + b"\0\1"}),
        "encrypted.xls": make_compound({"Workbook": struct.pack("<HHHHHH", 0x809, 2, 0, 0x2F, 2, 0)}),
        "other.doc": make_compound({"Nobody": b"x"}),
        "broken.doc": make_compound({"WordDocument": b"nonsense"})[:1500],
        "images.pdf": make_pdf("", ""),
        "encrypted.pdf": make_encrypted_pdf("secret"),
        "truncated.pdf": make_pdf("One", "Two")[:-400],
        "archive.zip": make_zip({"a.txt": b"text"}),
        "half.docx": make_word()[:5000],
        "picture.txt": b"\x89PNG\r\n\x1a\n" + bytes(1000),
        "nul.txt": b"a\0b" * 400,
        "surrogates.json": b'{"a": "\\ud800 \\u0000"}',
        "spaces.txt": b" \n\t" * 1000,
        "bell.rtf": b"{\\rtf1 " + b"{" * 100_000,
        "columns.csv": b"," * 1_000_000,
        "quotes.csv": b'"' * 100_001,
    }  # fmt: skip


def make_encoded_texts() -> dict[str, bytes]:
    """Return the same German sentences in several encodings, by file name."""
    text = "Die Größe der Straße in Köln kostet fünf Euro, schrieb Frau Müller über das Gebäude.\n" * 5
    return {
        "utf8.txt": text.encode(),
        "utf8-bom.txt": codecs.BOM_UTF8 + text.encode(),
        "utf16-le.txt": codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
        "utf16-be.txt": codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
        "utf16-no-bom.txt": text.encode("utf-16-le"),
        "utf32.txt": codecs.BOM_UTF32_LE + text.encode("utf-32-le"),
        "latin-1.txt": text.encode("latin-1"),
        "cp1252-crlf.txt": text.replace("\n", "\r\n").encode("cp1252"),
    }


def make_picture(*words: str) -> bytes:
    """Return a PNG with each of the words on a separate line, large enough for OCR."""
    image = Image.new("L", (1200, 200 + 120 * len(words)), 255)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(words):
        draw.text((80, 80 + 120 * number), line, 0, ImageFont.load_default(64))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def make_scanned_pdf(*pages: str) -> bytes:
    """Return a PDF whose pages are pictures of these texts; an empty text gives an empty page."""
    out = io.BytesIO()
    canvas = Canvas(out, invariant=True)
    for page in pages:
        if page:
            canvas.drawImage(ImageReader(io.BytesIO(make_picture(page))), 36, 400, 540, 144)
        canvas.showPage()
    canvas.save()
    return out.getvalue()
