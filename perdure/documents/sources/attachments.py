"""Takes the attachments out of a mail: each one is a document, counted from 1.

The attachments are the parts that the mail's own text shows as `[Attachment: …]`; texts and forwarded mails belong to
the mail. The worker itself parses the mail, so it takes apart no mail that is large or has very many parts.
"""

import zlib
from collections.abc import Iterable, Iterator
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message

from perdure.documents.sources.member import Member
from perdure.errors import DamagedDocument, VanishedDocument

SCHEME = "attachment+"
MAX_MAIL_BYTES = 32 * 1024 * 1024
MAX_ATTACHMENTS = 100
MAX_DEPTH = 10
_MAX_PARTS = 200
_BROKEN = (LookupError, ValueError, TypeError, AttributeError, RecursionError, MessageError)


def is_mail(name: str) -> bool:
    """Return whether a document has the name of a mail."""
    return name.lower().endswith(".eml")


def read_within_limit(pieces: Iterable[bytes]) -> bytes:
    """Return the bytes of a mail; none of a mail that is too large to be taken apart."""
    mail = bytearray()
    for piece in pieces:
        mail += piece
        if len(mail) > MAX_MAIL_BYTES:
            return b""
    return bytes(mail)


def list_attachments(mail: bytes) -> Iterator[Member]:
    """Yield the attachments in the order of the mail; none of a mail that cannot be taken apart."""
    try:
        for number, part in enumerate(_attached(mail), start=1):
            content = _payload(part)
            yield Member(str(number), _name(part) or str(number), len(content), version(content))
    except _BROKEN:
        return


def read_attachment(mail: bytes, key: str) -> bytes:
    """Return the content of the attachment with this key.

    Raises:
        VanishedDocument: there is no such attachment any more.
        DamagedDocument: the mail cannot be taken apart any more.
    """
    try:
        for number, part in enumerate(_attached(mail), start=1):
            if str(number) == key:
                return _payload(part)
    except _BROKEN as error:
        raise DamagedDocument("The mail cannot be taken apart.") from error
    raise VanishedDocument("It was attached to the mail at discovery and is not there now.")


def version(content: bytes) -> str:
    """Return the version of an attachment: its size and checksum."""
    return f"{len(content)}-{zlib.crc32(content):08x}"


def _attached(mail: bytes) -> list[Message]:
    low = mail.lower()
    parts = low.count(b"multipart/") + low.count(b"message/")
    if len(mail) > MAX_MAIL_BYTES or not 0 < parts <= _MAX_PARTS:
        return []
    attached: list[Message] = []
    waiting = [(message_from_bytes(mail), 0)]
    while waiting and len(attached) < MAX_ATTACHMENTS:
        part, depth = waiting.pop()
        inner = part.get_payload()
        if isinstance(inner, list):
            if depth < MAX_DEPTH:
                waiting += [(child, depth + 1) for child in reversed(inner) if isinstance(child, Message)]
        elif depth and _is_attached(part):
            attached.append(part)
    return attached


def _is_attached(part: Message) -> bool:
    if part.get_content_maintype() == "image" and (part["Content-ID"] or part.get_content_disposition() == "inline"):
        return False  # The mail's text shows the picture.
    return bool(part.get_filename()) or part.get_content_maintype() != "text"


def _payload(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _name(part: Message) -> str:
    return str(make_header(decode_header(part.get_filename() or "")))[:200]
