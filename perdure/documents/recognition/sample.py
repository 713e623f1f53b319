"""One document as the recognisers see it; its container is read at most once."""

import io
import zipfile
from collections.abc import Mapping
from functools import cached_property

from perdure.documents.recognition.compound import MAGIC, CompoundFile, Entry
from perdure.errors import DamagedDocument, DocumentError, EncryptedDocument, UnsupportedFormat

HEAD_BYTES = 4096
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_MIMETYPE_BYTES = 200
_BINARY_MAGIC = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
    b"BM": "a bitmap image",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"SQLite format 3": "a SQLite database",
    b"OggS": "an audio file",
    b"ID3": "an audio file",
}


class Sample:
    """The bytes of a document, and the facts that recognisers derive from them.

    Args:
        content: the whole file.
        claimed: the media type of the text format that the extension of the file's name claims; `text/plain` if the
            extension claims none. Binary formats never depend on it.
    """

    def __init__(self, content: bytes, claimed: str) -> None:
        self.content = content
        self.claimed = claimed

    @cached_property
    def text_head(self) -> bytes:
        """The first bytes in lower case, without a byte order mark and leading white space."""
        return self.content[:HEAD_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip().lower()

    @cached_property
    def compound(self) -> CompoundFile | None:
        """The file as a Microsoft compound file; None if it is another kind of file.

        Raises:
            EncryptedDocument: the file is the encrypted form of a modern Office document.
        """
        if not self.content.startswith(MAGIC):
            return None
        file = CompoundFile(self.content)
        if "encryptedpackage" in file.streams():
            raise EncryptedDocument("The document is protected by a password.")
        return file

    @cached_property
    def streams(self) -> Mapping[str, Entry]:
        """The top level of the compound file by lower-case name; empty for other files."""
        return self.compound.streams() if self.compound else {}

    @property
    def is_zip(self) -> bool:
        """Whether the file begins like a ZIP container."""
        return self.content.startswith(_ZIP_MAGIC)

    @cached_property
    def members(self) -> tuple[str, ...]:
        """The names in the ZIP container's directory; empty if the file is no ZIP.

        Raises:
            EncryptedDocument: the container's description of itself is encrypted.
            DamagedDocument: the directory cannot be read.
        """
        return self._directory[0]

    @cached_property
    def mimetype(self) -> str:
        """The content of the ZIP container's member `mimetype`; empty if there is none.

        Raises:
            EncryptedDocument, DamagedDocument: in the same cases as `members`.
        """
        return self._directory[1]

    @cached_property
    def _directory(self) -> tuple[tuple[str, ...], str]:
        if not self.is_zip:
            return (), ""
        try:
            with zipfile.ZipFile(io.BytesIO(self.content)) as archive:
                names = tuple(archive.namelist())
                if "mimetype" not in names:
                    return names, ""
                with archive.open("mimetype") as member:
                    return names, member.read(_MIMETYPE_BYTES).decode("ascii", "replace").strip()
        except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, OSError, EOFError) as error:
            if "encrypted" in str(error):
                raise EncryptedDocument("The document is protected by a password.") from error
            raise DamagedDocument("The file begins like a ZIP container, but its directory cannot be read.") from error

    @cached_property
    def may_be_text(self) -> bool:
        """Whether the file is neither a container nor of a known binary format."""
        return self.compound is None and not self.is_zip and self._binary_format is None

    @cached_property
    def _binary_format(self) -> str | None:
        # Only a file with control characters is compared: "BM" and "MZ" are the beginnings of words as well.
        if _has_no_control_characters(self.content[:HEAD_BYTES]):
            return None
        return next((label for magic, label in _BINARY_MAGIC.items() if self.content.startswith(magic)), None)

    def refusal(self) -> DocumentError:
        """Return the reason for which a file that no recogniser knows cannot be read."""
        if self.compound is not None:
            if not self.streams:
                return DamagedDocument("The file is a Microsoft compound file, but its directory cannot be read.")
            return UnsupportedFormat(
                "The file is a Microsoft compound file, but no Word, Excel, PowerPoint or Outlook document."
            )
        if self.is_zip:
            if any(name.startswith("Index/") and name.endswith(".iwa") for name in self.members):
                return UnsupportedFormat("The file is an Apple iWork document, which is not read here.")
            return UnsupportedFormat("The file is a ZIP archive, but no document of a format that is read here.")
        return UnsupportedFormat(f"The file is {self._binary_format}, which is not read here.")


def _has_no_control_characters(head: bytes) -> bool:
    return b"\0" not in head and sum(byte < 9 or 13 < byte < 27 for byte in head) == 0  # noqa: PLR2004 - ASCII controls
