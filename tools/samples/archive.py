"""Reproducible bytes for documents that are ZIP archives.

The office libraries write the current time into archives and properties. This module writes each archive again with a
fixed time. Members are stored without compression, because the output of deflate differs between builds of zlib, and
the samples must have the same bytes on every machine.
"""

import io
import re
import zipfile
from datetime import UTC, datetime

EPOCH = datetime(2025, 7, 12, 9, 0, tzinfo=UTC)
"""The time of creation of every sample: the day on which the quay of the story reopened."""

_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?")
_STAMPED_MEMBERS = ("docProps/core.xml", "meta.xml", "EPUB/content.opf", "EPUB/toc.ncx")


def fixed_archive(archive: bytes) -> bytes:
    """Return the archive with the same members, and with `EPOCH` as every time."""
    stamp = EPOCH.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(result, "w", zipfile.ZIP_STORED) as new:
        for member in old.infolist():
            content = old.read(member)
            if member.filename in _STAMPED_MEMBERS:
                content = _STAMP.sub(stamp, content)
            entry = zipfile.ZipInfo(member.filename, EPOCH.timetuple()[:6])
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # Unix; zipfile would write the system of this machine
            new.writestr(entry, content)
    return result.getvalue()
