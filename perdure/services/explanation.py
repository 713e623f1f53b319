"""What an error says, in one sentence that may be stored for everybody to read."""

import os
import re
import socket

MAX_CHARACTERS = 300
_READ_CHARACTERS = 4_000
"""Of a longer message the rest is not looked at, and an address that it cuts through is left out."""

_TRACEBACK = "Traceback (most recent call last)"
_ERROR_NUMBER = re.compile(r"^\[Errno -?\d+\] ")
# A password may hold an unescaped "/" or "@": up to the last "@" before a space, too much rather than too little.
_USER_IN_ADDRESS = re.compile(r"://[^\s'\"<>]*@")
_AUTHORISATION = re.compile(r"\b(bearer|basic|digest|negotiate)\s+[^\s,;'\"]+", re.IGNORECASE)
_NAMED_SECRET = re.compile(
    r"""((?<![\w-])[\w-]{0,40}(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|credential|signature)[\w-]{0,40}
         ['"]?\s*[=:]\s*)('[^']*'|"[^"]*"|[^\s&;,'"]+)""",
    re.IGNORECASE | re.VERBOSE,
)


def sentence(error: BaseException) -> str:
    """The error's message: one line, at most `MAX_CHARACTERS`, without credentials, ending with a full stop."""
    said = _said(error)
    if _TRACEBACK in said:
        said = said.strip().splitlines()[-1]  # the line that says what was wrong
    if len(said) > _READ_CHARACTERS:
        said = said[:_READ_CHARACTERS].rpartition("://")[0] or said[:_READ_CHARACTERS]
    # What Postgres or UTF-8 cannot hold is replaced.
    said = " ".join(said.replace("\0", " ").encode(errors="replace").decode().split()) or type(error).__name__
    said = without_credentials(said)
    if len(said) >= MAX_CHARACTERS:
        said = said[: MAX_CHARACTERS - 1] + "…"
    return said if said.endswith((".", "…")) else f"{said}."


def without_credentials(text: str) -> str:
    """The text with what looks like a password, token or key replaced by `***`."""
    text = _USER_IN_ADDRESS.sub("://***@", text)
    text = _AUTHORISATION.sub(r"\1 ***", text)
    return _NAMED_SECRET.sub(r"\1***", text)


def _said(error: BaseException) -> str:
    if isinstance(error, socket.gaierror):
        return error.strerror or str(error)  # its numbers are not those of the operating system
    if isinstance(error, TimeoutError) and not str(error):
        return "It did not answer in time"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    try:
        return _ERROR_NUMBER.sub("", str(error))
    except Exception:  # noqa: BLE001 - a class of others, whose message may itself be broken
        return ""
