"""The text of an array file: one JSON element a line, between the lines `[` and `]`.

JSON strings hold no raw line breaks, so `read_tail` finds the last elements by reading backwards from the end of the
file.
"""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

START = b"["
SEPARATOR = b",\n"
END = b"\n]\n"
_TAIL_BYTES = 16 * 1024


class DamagedArrayError(OSError):
    """The file holds no JSON array, and no element of it can be read."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a whole array: its last element, and the bytes before that element."""

    last: bytes
    before: bytes
    """The element before the last, or the opening bracket."""
    before_end: int
    """Offset in bytes at which `before` ends: up to this offset the spare copy has the same content."""

    @property
    def separator(self) -> bytes:
        """Return the bytes between `before` and `last`."""
        return b"\n" if self.before == START else SEPARATOR


def read_tail(descriptor: int) -> Tail | None:
    """Return the last two elements of a file; None if the file is not in this format."""
    size = os.fstat(descriptor).st_size
    length = _TAIL_BYTES
    while True:
        start = max(0, size - length)
        content = os.pread(descriptor, size - start, start)
        if not content.endswith(END):
            return None
        lines = content[: -len(END)].rsplit(b"\n", 2)
        if len(lines) == 3 or start == 0:  # noqa: PLR2004  the last line, the line before, and the rest
            break
        length *= 4
    if len(lines) < 2:  # noqa: PLR2004  fewer lines than a bracket and an element
        return None
    last = lines[-1]
    before = lines[-2].removesuffix(b",")
    separated = before == START if len(lines) == 2 else lines[-2].endswith(b",")  # noqa: PLR2004
    if not separated or not _is_json(last):
        return None
    return Tail(last, before, size - len(END) - len(last) - 1 - (len(lines[-2]) - len(before)))


def parse_elements(content: bytes) -> list[Any]:
    """Return the elements of an array file.

    From a damaged file, return the elements before the first damaged line.

    Raises:
        DamagedArrayError: the content does not begin like an array.
    """
    if content.strip() and not content.lstrip().startswith(START):
        raise DamagedArrayError("a file of checkpoints holds no JSON array")
    try:
        whole: list[Any] = json.loads(content)
    except ValueError:
        readable: list[Any] = []
        for line in content.split(b"\n")[1:]:
            try:
                readable.append(json.loads(line.removesuffix(b",")))
            except ValueError:
                break
        return readable
    return whole


def examine_content(content: bytes) -> tuple[list[Any], str | None]:
    """Return the readable elements, and the damage as a clause.

    The damage is None if the array is whole.
    """
    try:
        whole = json.loads(content)
    except ValueError:
        with suppress(DamagedArrayError):
            readable = parse_elements(content)
            return readable, f"is damaged: of its elements only the first {len(readable)} can be read"
        whole = None
    return (whole, None) if isinstance(whole, list) else ([], "holds no JSON array")


def format_element(element: Any) -> bytes:
    """Return one element as a line without its line break."""
    return json.dumps(element, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def format_array(elements: list[Any]) -> bytes:
    """Return the content of a file with these elements. The array has at least one element."""
    return START + b"\n" + SEPARATOR.join(format_element(element) for element in elements) + END


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
