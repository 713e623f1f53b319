"""Documents made on purpose: small honest ones of every format, and what attackers and accidents send."""

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

SENTENCE = "Harbour & Finch <Ltd> wrote “it’s 5 > 3” to café Łódź."  # noqa: RUF001 - as people write


def pdf(*pages: str, **options: Any) -> bytes:
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


def encrypted_pdf(user_password: str) -> bytes:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf("A secret"))) as document:
        document.save(out, encryption=pikepdf.Encryption(owner="owner", user=user_password))
    return out.getvalue()


def word(text: str = SENTENCE) -> bytes:
    document, out = docx.Document(), io.BytesIO()
    document.core_properties.title = "A & B"
    document.add_paragraph(text)
    document.save(out)
    return out.getvalue()


def slides(*texts: str) -> bytes:
    presentation, out = pptx.Presentation(), io.BytesIO()
    for text in texts:
        slide = presentation.slides.add_slide(presentation.slide_layouts[5])
        slide.shapes.title.text = text
        slide.notes_slide.notes_text_frame.text = f"Said with {text}"
    presentation.save(out)
    return out.getvalue()


def workbook(**sheets: list[list[object]]) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for index, row in enumerate(rows):
                sheet.write_row(index, 0, row)
    return out.getvalue()


def open_document(text: str = SENTENCE) -> bytes:
    document, out = OpenDocumentText(), io.BytesIO()
    document.text.addElement(P(text=text))
    document.save(out)
    return out.getvalue()


def book(text: str) -> bytes:
    made, out = epub.EpubBook(), io.BytesIO()
    made.set_identifier("made")
    made.set_title("A & B")
    chapter = epub.EpubHtml(title="One", file_name="one.xhtml")
    chapter.content = f"<h1>One</h1><p>{text}</p>"
    made.add_item(chapter)
    made.spine = [chapter]
    made.add_item(epub.EpubNcx())
    epub.write_epub(out, made)
    return out.getvalue()


def mail(body: str, *attachments: str) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Clara <clara@harbour.example>", "bo@acme.example", "Größe"
    message["Date"] = "Tue, 05 Mar 2024 10:00:00 +0000"
    message.set_content(body)
    for name in attachments:
        message.add_attachment(b"\0\1\2", maintype="application", subtype="octet-stream", filename=name)
    return bytes(message)


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def changed(content: bytes, member: str, change: Any) -> bytes:
    """The same container with one member changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return zipped({
            one: change(archive.read(one)) if one == member else archive.read(one) for one in archive.namelist()
        })  # fmt: skip


def compound(streams: dict[str, bytes]) -> bytes:
    """A minimal compound file: header, one sector of allocation table, the directory, then the streams."""
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


def hostile() -> dict[str, bytes]:
    """By file name; each must end as a processed document or with a reason."""
    bomb = _ENTITIES.encode() + b"<w:document><w:p>&j;</w:p></w:document>"
    return {
        "bomb.docx": changed(word(), "word/document.xml", lambda xml: xml + b" " * 300_000_000),
        "entities.docx": changed(word(), "word/document.xml", lambda _: b"<?xml version='1.0'?>" + bomb),
        "entities.pptx": changed(slides("x"), "ppt/slides/slide1.xml", lambda _: bomb),
        "entities.xml": b"<?xml version='1.0'?>" + bomb,
        "unbroken.txt": b"a" * 1_000_000,
        "brackets.txt": b"(" * 200_000,
        "deep.html": b"<div>" * 200_000 + b"the bottom",
        "unclosed.html": b"<html>" + b"<a<b " * 200_000,
        "binary.html": b"<html>" + bytes(range(256)) * 50,
        "nested.eml": _nested_mail(500),
        "headers.eml": b'From: =?utf-8?b?////?=\r\nTo: "\r\nSubject: =?x-no?q?=FF?=\r\nDate: never\r\n\r\nHi',
        "encrypted.xlsx": compound({"EncryptionInfo": b"x", "EncryptedPackage": b"y"}),
        "encrypted.doc": compound({"WordDocument": b"\xec\xa5\xc1\0" + bytes(6) + b"\0\1"}),
        "encrypted.xls": compound({"Workbook": struct.pack("<HHHHHH", 0x809, 2, 0, 0x2F, 2, 0)}),
        "other.doc": compound({"Nobody": b"x"}),
        "broken.doc": compound({"WordDocument": b"nonsense"})[:1500],
        "images.pdf": pdf("", ""),
        "encrypted.pdf": encrypted_pdf("secret"),
        "truncated.pdf": pdf("One", "Two")[:-400],
        "archive.zip": zipped({"a.txt": b"text"}),
        "half.docx": word()[:5000],
        "picture.txt": b"\x89PNG\r\n\x1a\n" + bytes(1000),
        "nul.txt": b"a\0b" * 400,
        "surrogates.json": b'{"a": "\\ud800 \\u0000"}',
        "spaces.txt": b" \n\t" * 1000,
        "bell.rtf": b"{\\rtf1 " + b"{" * 100_000,
        "columns.csv": b"," * 1_000_000,
        "quotes.csv": b'"' * 100_001,
    }  # fmt: skip


def encodings() -> dict[str, bytes]:
    """The same German sentence as the world writes it."""
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


def picture(*words: str) -> bytes:
    """A PNG with each of the words on a line of its own, large enough for OCR."""
    image = Image.new("L", (1200, 200 + 120 * len(words)), 255)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(words):
        draw.text((80, 80 + 120 * number), line, 0, ImageFont.load_default(64))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def scanned_pdf(*pages: str) -> bytes:
    """Pages that are pictures; an empty text gives a page without one."""
    out = io.BytesIO()
    canvas = Canvas(out, invariant=True)
    for page in pages:
        if page:
            canvas.drawImage(ImageReader(io.BytesIO(picture(page))), 36, 400, 540, 144)
        canvas.showPage()
    canvas.save()
    return out.getvalue()
