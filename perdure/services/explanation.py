"""Turns an error into one sentence without credentials, for a checkpoint."""

import os
import re
import socket

MAX_CHARACTERS = 300
_READ_CHARACTERS = 4_000
"""Most characters of a message that are read. An address at the cut is left out, because it may hold a password."""

_TRACEBACK = "Traceback (most recent call last)"
_ERROR_NUMBER = re.compile(r"^\[Errno -?\d+\] ")
# A password may hold an unescaped "/" or "@". The match runs to the last "@" before a space, so the match may hide more
# than the password.
_USER_IN_ADDRESS = re.compile(r"://[^\s'\"<>]*@")
_AUTHORISATION = re.compile(r"\b(bearer|basic|digest|negotiate)\s+[^\s,;'\"]+", re.IGNORECASE)
_NAMED_SECRET = re.compile(
    r"""((?<![\w-])[\w-]{0,40}(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|credential|signature)[\w-]{0,40}
         ['"]?\s*[=:]\s*)('[^']*'|"[^"]*"|[^\s&;,'"]+)""",
    re.IGNORECASE | re.VERBOSE,
)


def sentence(error: BaseException) -> str:
    """Return the error's message on one line, without credentials, with a full stop.

    The line has at most `MAX_CHARACTERS` characters.
    """
    message = _read_message(error)
    if _TRACEBACK in message:
        message = message.strip().splitlines()[-1]  # the last line of a traceback has the error's message
    if len(message) > _READ_CHARACTERS:
        message = message[:_READ_CHARACTERS].rpartition("://")[0] or message[:_READ_CHARACTERS]
    # Postgres cannot store NUL, and UTF-8 cannot encode lone surrogates.
    message = " ".join(message.replace("\0", " ").encode(errors="replace").decode().split()) or type(error).__name__
    message = without_credentials(message)
    if len(message) >= MAX_CHARACTERS:
        message = message[: MAX_CHARACTERS - 1] + "…"
    return message if message.endswith((".", "…")) else f"{message}."


def without_credentials(text: str) -> str:
    """Return the text with `***` in place of passwords, tokens and keys."""
    text = _USER_IN_ADDRESS.sub("://***@", text)
    text = _AUTHORISATION.sub(r"\1 ***", text)
    return _NAMED_SECRET.sub(r"\1***", text)


def _read_message(error: BaseException) -> str:
    if isinstance(error, socket.gaierror):
        return error.strerror or str(error)  # the numbers of this error are not those of the operating system
    if isinstance(error, TimeoutError) and not str(error):
        return "It did not answer in time"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    try:
        return _ERROR_NUMBER.sub("", str(error))
    except Exception:  # noqa: BLE001 - `__str__` of a foreign class may raise anything
        return ""
