"""One byte form for documents that are zip archives.

The office writers stamp archives and properties with the time of writing. Here the archive is written again with a
fixed time, and members are *stored*: what deflate makes of the same bytes differs between builds of zlib, and the
samples must come out the same on every machine.
"""

import io
import re
import zipfile
from datetime import UTC, datetime

EPOCH = datetime(2025, 7, 12, 9, 0, tzinfo=UTC)
"""The day the quay reopened: the time every sample says it was written."""

_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?")
_STAMPED_MEMBERS = ("docProps/core.xml", "meta.xml", "EPUB/content.opf", "EPUB/toc.ncx")


def fixed_archive(archive: bytes) -> bytes:
    """The same members in the same order, with `EPOCH` for every time in them."""
    stamp = EPOCH.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(result, "w", zipfile.ZIP_STORED) as new:
        for member in old.infolist():
            content = old.read(member)
            if member.filename in _STAMPED_MEMBERS:
                content = _STAMP.sub(stamp, content)
            entry = zipfile.ZipInfo(member.filename, EPOCH.timetuple()[:6])
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # as on Unix, wherever it is made
            new.writestr(entry, content)
    return result.getvalue()
