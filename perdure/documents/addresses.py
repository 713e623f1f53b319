"""Converts between paths and `file://` URIs.

A URI holds every file name exactly, byte for byte, and is itself plain ASCII. So no line break, NUL or lone surrogate
of a file name reaches a database, a message or a terminal.
"""

import os
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

from perdure.errors import InvalidSource

_SCHEME = "file://"
_THIS_MACHINE = ("", "localhost")


def path_of(source: str) -> Path:
    """Return the absolute path that a path or `file://` URI names.

    The function follows symbolic links in a plain path, and none in a URI.

    Raises:
        InvalidSource: the source is empty, of another scheme or machine, or holds a NUL.
    """
    if not source.strip():
        raise InvalidSource("The source is empty: name a file or a folder.")
    if source[: len(_SCHEME)].lower() == _SCHEME:
        return _parse_path(source)
    if "\0" in source:
        raise InvalidSource("A source cannot hold a NUL character.")
    try:
        path = Path(source)
        os.fsencode(path)
        if "://" in source and not os.path.lexists(path):
            raise InvalidSource(
                f"'{shown(source)}' cannot be read: name a path, or an address that begins with file://, http://, "
                "https://, s3:// or manifest:."
            )
        if source.startswith("~") and not os.path.lexists(path):
            path = path.expanduser()
        return path.resolve()
    except UnicodeEncodeError as error:
        raise InvalidSource(f"'{shown(source)}' is no possible file name.") from error
    except (RuntimeError, OSError) as error:
        raise InvalidSource(
            f"'{shown(source)}' leads to no file: a link in it is circular, or its user has no home folder."
        ) from error


def uri_of(path: Path) -> str:
    """Return the `file://` URI of an absolute path.

    All bytes are percent-encoded, except ASCII letters, digits and `/-_.~`.
    """
    return _SCHEME + quote_from_bytes(os.fsencode(path), safe="/-_.~")


def shown(path: str | Path) -> str:
    """Return a path as messages show it, on one line.

    A backslash sequence stands for each byte and each character that cannot be printed.
    """
    try:
        text = os.fsencode(path).decode(errors="backslashreplace")
    except UnicodeEncodeError:
        text = str(path).encode(errors="backslashreplace").decode()
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _parse_path(uri: str) -> Path:
    machine, slash, path = uri[len(_SCHEME) :].partition("/")
    if machine.lower() not in _THIS_MACHINE:
        raise InvalidSource(f"'{shown(uri)}' names another machine; write file:/// and an absolute path.")
    try:
        name = os.fsdecode(unquote_to_bytes(slash + path))
    except UnicodeEncodeError as error:
        raise InvalidSource(f"'{shown(uri)}' is no possible file name.") from error
    if not name.startswith("/"):
        raise InvalidSource(f"'{shown(uri)}' names no path.")
    if "\0" in name:
        raise InvalidSource("A source cannot hold a NUL character.")
    return Path(os.path.normpath(name))
