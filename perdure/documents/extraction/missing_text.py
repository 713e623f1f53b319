"""Finds the reason for which a document has no text: pictures only, damage, or no content.

Rows of the table of formats name these functions. Each function takes the file's bytes and the result without text,
even if it needs only one of the two.
"""

import io
import re
import zipfile

from perdure.documents.extraction.extracted import Extracted
from perdure.errors import DamagedDocument, DocumentError, ImageOnlyDocument, NoTextExtracted

_PICTURE = re.compile(r"\.(?:png|jpe?g|gif|bmp|tiff?|webp|svg|emf|wmf|jp2|jxr|wdp)$", re.IGNORECASE)
_PICTURE_TAG = re.compile(rb"<(?:img|svg|picture|image)\b", re.IGNORECASE)
_DECLARATION = re.compile(rb"<!DOCTYPE|<!ENTITY")
_HEAD_BYTES = 4096
_MAX_MEMBERS = 10_000


def explain_empty(content: bytes, extracted: Extracted) -> DocumentError:  # noqa: ARG001 - as in the table of formats
    """Return the reason of a document that holds no pictures."""
    return _make_reason(has_pictures=False)


def explain_html(content: bytes, extracted: Extracted) -> DocumentError:  # noqa: ARG001 - as in the table of formats
    """Return the reason of an HTML page: pictures if the page has a tag for pictures."""
    return _make_reason(has_pictures=_PICTURE_TAG.search(content) is not None)


def explain_rtf(content: bytes, extracted: Extracted) -> DocumentError:  # noqa: ARG001 - as in the table of formats
    """Return the reason of an RTF: pictures if the RTF has a group for pictures."""
    return _make_reason(has_pictures=b"\\pict" in content)


def explain_presentation(content: bytes, extracted: Extracted) -> DocumentError:  # noqa: ARG001 - same
    """Return the reason of a PPT: pictures if the PPT has the stream `Pictures`."""
    return _make_reason(has_pictures="Pictures".encode("utf-16-le") in content)


def explain_container(content: bytes, extracted: Extracted) -> DocumentError:  # noqa: ARG001 - same
    """Return the reason of a document in a ZIP container: damage, pictures, or neither.

    Office documents may not declare entities. Parsers give no text of a document that does.
    """
    has_pictures = False
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.infolist()[:_MAX_MEMBERS]:
            name = member.filename.lower()
            has_pictures = has_pictures or (_PICTURE.search(name) is not None and "thumbnail" not in name)
            if name.startswith(("word/", "xl/")) and name.endswith(".xml"):
                with archive.open(member) as part:
                    if _DECLARATION.search(part.read(_HEAD_BYTES)):
                        return DamagedDocument(
                            "The document is damaged: it declares entities, which its format forbids."
                        )
    return _make_reason(has_pictures=has_pictures)


def _make_reason(*, has_pictures: bool) -> DocumentError:
    if has_pictures:
        return ImageOnlyDocument("The document holds pictures and no text; only OCR reads them.")
    return NoTextExtracted("No text was found in the document: it is empty, or holds drawings or data only.")
