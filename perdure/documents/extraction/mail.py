"""Extracts e-mail: main headers, bodies, names of attachments, and forwarded mails."""

import email
import email.policy
from collections.abc import Sequence
from email.message import EmailMessage, Message

from perdure.documents.document import Section, Table
from perdure.documents.extraction.charset import decode_text
from perdure.documents.extraction.extracted import PAGE_BREAK, Extracted, ExtractionInput
from perdure.documents.extraction.html import read_markup
from perdure.documents.extraction.structure import shift_structure
from perdure.errors import DamagedDocument, UnsupportedFormat

MAX_PARTS = 1_000
MAX_NESTED = 50
# The standard library's parser of structured headers raises these errors for malformed headers.
_HEADER_FAULTS = (ValueError, IndexError, AttributeError, TypeError, LookupError)
_HEADERS = ("Subject", "From", "To", "Cc", "Date")


def extract_mail(document: ExtractionInput) -> Extracted:
    """Return headers and bodies in order; an HTML body only if there is no plain body.

    Raises:
        DamagedDocument: the mail is nested too deep for the standard library's parser.
    """
    reading = _Reading()
    try:
        message = email.message_from_bytes(document.content, policy=email.policy.default)
        reading.add_part(message, depth=0)
    except RecursionError as error:
        raise DamagedDocument("The mail is nested beyond any sense.") from error
    headers = {name.lower(): value for name in _HEADERS if (value := _read_header(message, name))}
    if language := _read_header(message, "Content-Language"):
        headers["language"] = language
    return Extracted(
        reading.text(),
        headers.get("subject"),
        properties=headers,
        warnings=tuple(reading.warnings),
        sections=tuple(reading.sections),
        tables=tuple(reading.tables),
    )


class _Reading:
    """Collects the text of a mail's parts."""

    def __init__(self) -> None:
        self.warnings: dict[str, None] = {}
        self.sections: list[Section] = []
        self.tables: list[Table] = []
        self._pieces: list[str] = []
        self._length = 0
        self._list_parts = 0

    def text(self) -> str:
        """Return the text of all parts so far."""
        return PAGE_BREAK.join(self._pieces)

    def _add(self, piece: str, sections: Sequence[Section] = (), tables: Sequence[Table] = ()) -> None:
        if not piece:
            return
        moved = shift_structure(sections, tables, self._length)
        self.sections += moved[0]
        self.tables += moved[1]
        self._pieces.append(piece)
        self._length += len(piece) + len(PAGE_BREAK)

    def add_part(self, message: Message, depth: int) -> None:
        """Add a part and the parts inside it.

        Args:
            message: the part.
            depth: the number of parts around it.
        """
        self._list_parts += 1
        if depth > MAX_NESTED or self._list_parts > MAX_PARTS:
            bound = f"nested more than {MAX_NESTED} deep" if depth > MAX_NESTED else f"beyond the first {MAX_PARTS}"
            self.warnings[f"Parts of the mail {bound} were left out."] = None
            return
        lines = [f"{name}: {value}" for name in _HEADERS if (value := _read_header(message, name))]
        self._add("\n".join(lines))
        if not message.is_multipart():
            self._add_leaf(message)
            return
        parts = _list_parts(message)
        if message.get_content_type() == "multipart/alternative":
            # The parts hold the same text in several forms; the plain form is made for reading as text.
            plain = [part for part in parts if part.get_content_type() == "text/plain"]
            parts = plain[:1] or parts[-1:]
        for part in parts:
            self.add_part(part, depth + 1)

    def _add_leaf(self, part: Message) -> None:
        name = _read_file_name(part)
        kind = part.get_content_type()
        if name or part.get_content_maintype() != "text":
            self._add(f"[Attachment: {name or kind}]")
            return
        payload = part.get_payload(decode=True)
        try:
            text = decode_text(payload if isinstance(payload, bytes) else b"", part.get_content_charset())
        except UnsupportedFormat:
            self.warnings["A part of the mail that calls itself text is none."] = None
            return
        if kind == "text/html":
            body = read_markup(text)
            self._add(body.text, body.sections, body.tables)
            self.warnings.update(dict.fromkeys(body.warnings))
        else:
            self._add(text.replace("\r\n", "\n").strip())


def _read_file_name(part: Message) -> str | None:
    try:
        return part.get_filename()
    except _HEADER_FAULTS:
        return "unnamed"


def _list_parts(message: Message) -> list[Message]:
    payload = message.get_payload()
    return [part for part in payload if isinstance(part, Message)] if isinstance(payload, list) else []


def _read_header(message: Message, name: str) -> str | None:
    try:
        value = message.get(name)
    except _HEADER_FAULTS:
        value = dict(Message.items(message)).get(name) if not isinstance(message, EmailMessage) else None
    return " ".join(str(value).split()) if value else None
