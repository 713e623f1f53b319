"""Reads the properties in the containers of OpenDocument files and EPUB books."""

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
    """Return the properties of an OpenDocument file; empty if it has none that can be read."""
    meta = _read_element(archive, "meta.xml")
    properties: dict[str, Any] = {}
    for node in meta.iterfind("{*}meta/*") if meta is not None else ():
        name = _OPEN_DOCUMENT.get(_get_local_name(node))
        value = (node.text or "").strip()
        if name and value:
            properties.setdefault(name, value)
    last = properties.pop("last_author", None)
    if last:
        properties.setdefault("author", last)
    return properties


def book_properties(archive: zipfile.ZipFile) -> dict[str, Any]:
    """Return the properties of a book's package; empty if it has none that can be read."""
    path = _ROOT_FILE.search(_read(archive, "META-INF/container.xml"))
    package = _read_element(archive, path.group(1).decode("utf-8", "replace")) if path else None
    authors: list[str] = []
    properties: dict[str, Any] = {}
    for node in package.iterfind("{*}metadata/*") if package is not None else ():
        name = _get_local_name(node)
        value = (node.text or "").strip()
        if name == "creator" and value and len(authors) < _MAX_VALUES:
            authors.append(value)
        elif node.get("property") == "dcterms:modified" or "modification" in node.attrib.values():
            properties.setdefault("modified", value)
        elif name in _BOOK and value:
            properties.setdefault(_BOOK[name], value)
    return {**properties, **({"authors": authors} if authors else {})}


def _read_element(archive: zipfile.ZipFile, name: str) -> ET.Element | None:
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


def _get_local_name(node: ET.Element) -> str:
    return str(node.tag).rsplit("}", 1)[-1]
