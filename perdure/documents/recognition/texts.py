"""Recognises formats of plain text by their beginning and the extension of the name."""

from perdure.documents.recognition.recognisers import Recogniser
from perdure.documents.recognition.sample import Sample

HTML = "text/html"
MARKDOWN = "text/markdown"
PLAIN = "text/plain"
XML = "application/xml"
EML = "message/rfc822"

_HTML_HEADS = (b"<!doctype html", b"<html")
_HTML_TAGS = (*_HTML_HEADS, b"<head", b"<body", b"<div", b"<p>", b"<table", b"<h1", b"<span", b"<script")
_XML_DECLARATION = b"<?xml"
_MAIL_HEADERS = (b"from", b"received", b"return-path", b"mime-version", b"message-id", b"date", b"to", b"subject",
                 b"delivered-to", b"content-type", b"x-", b"reply-to", b"sender")  # fmt: skip
_MIN_MAIL_HEADERS = 3
"""Ordinary text may begin with fewer lines that look like headers."""


def claimed_text(media_type: str) -> Recogniser:
    """Return a recogniser of texts whose extension claims this media type."""
    return lambda sample: sample.may_be_text and sample.claimed == media_type


def is_html(sample: Sample) -> bool:
    """Return whether the text begins like HTML, or its extension claims HTML.

    An XML declaration without a tag `html` in the head makes the text XML in any case.
    """
    if not sample.may_be_text:
        return False
    head = sample.text_head
    if head.startswith(_HTML_HEADS):
        return True
    # Markdown may begin with a tag.
    if sample.claimed != MARKDOWN and head.startswith(_HTML_TAGS):
        return True
    if head.startswith(_XML_DECLARATION):
        return b"<html" in head
    return sample.claimed == HTML


def is_xml(sample: Sample) -> bool:
    """Return whether the text begins with an XML declaration, or its extension claims XML."""
    if not sample.may_be_text:
        return False
    return sample.text_head.startswith(_XML_DECLARATION) or sample.claimed == XML


def is_mail(sample: Sample) -> bool:
    """Return whether the extension claims an e-mail, or the text begins with mail headers.

    The headers count only if the extension claims no format.
    """
    if not sample.may_be_text:
        return False
    return sample.claimed == EML or (sample.claimed == PLAIN and _begins_with_headers(sample.text_head))


def is_plain_text(sample: Sample) -> bool:
    """Return whether the file may be text; its extractor refuses binary data."""
    return sample.may_be_text


def _begins_with_headers(head: bytes) -> bool:
    """Return whether the first lines are mail headers, at least three of them known ones."""
    count = 0
    for line in head.replace(b"\r\n", b"\n").split(b"\n"):
        if not line:
            break
        if line[:1] in b" \t":
            continue
        key, colon, _ = line.partition(b":")
        if not colon or b" " in key.strip():
            if line.startswith(b"from ") and not count:  # the envelope line of a mailbox
                continue
            return False
        count += key.strip().startswith(_MAIL_HEADERS)
    return count >= _MIN_MAIL_HEADERS
