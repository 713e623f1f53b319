"""What OpenDocument files and EPUB books say of themselves, read from the part of their container that says it."""

import re
import zipfile
from typing import Any
from xml.etree import ElementTree as ET

_MAX_BYTES = 1024 * 1024
_MAX_VALUES = 100
_OPEN_DOCUMENT = {"title": "title", "initial-creator": "author", "creator": "last_author", "creation-date": "created",
                  "date": "modified", "language": "language", "subject": "subject", "keyword": "keywords",
                  "description": "description", "generator": "generator"}  # fmt: skip
_BOOK = {"title": "title", "language": "language", "subject": "subject", "publisher": "publisher", "date": "created"}
_ROOT_FILE = re.compile(rb"full-path\s*=\s*[\"']([^\"'<>]+)")


def open_document_properties(archive: zipfile.ZipFile) -> dict[str, Any]:
    """Title, author, dates and the like; empty if there is nothing, or nothing readable."""
    meta = _element(archive, "meta.xml")
    found: dict[str, Any] = {}
    for node in meta.iterfind("{*}meta/*") if meta is not None else ():
        name, value = _OPEN_DOCUMENT.get(_local(node)), (node.text or "").strip()
        if name and value:
            found.setdefault(name, value)
    last = found.pop("last_author", None)
    if last:
        found.setdefault("author", last)
    return found


def book_properties(archive: zipfile.ZipFile) -> dict[str, Any]:
    """All creators, languages and dates of a book's package; empty if there is nothing readable."""
    named = _ROOT_FILE.search(_read(archive, "META-INF/container.xml"))
    package = _element(archive, named.group(1).decode("utf-8", "replace")) if named else None
    authors: list[str] = []
    found: dict[str, Any] = {}
    for node in package.iterfind("{*}metadata/*") if package is not None else ():
        name, value = _local(node), (node.text or "").strip()
        if name == "creator" and value and len(authors) < _MAX_VALUES:
            authors.append(value)
        elif node.get("property") == "dcterms:modified" or "modification" in node.attrib.values():
            found.setdefault("modified", value)
        elif name in _BOOK and value:
            found.setdefault(_BOOK[name], value)
    return {**found, **({"authors": authors} if authors else {})}


def _element(archive: zipfile.ZipFile, name: str) -> ET.Element | None:
    try:
        return ET.fromstring(_read(archive, name))  # noqa: S314 - expat bounds entity expansion itself since 2.4.1
    except (ET.ParseError, ValueError):
        return None


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        with archive.open(name) as member:
            return member.read(_MAX_BYTES)
    except (KeyError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError):
        return b""


def _local(node: ET.Element) -> str:
    return str(node.tag).rsplit("}", 1)[-1]
