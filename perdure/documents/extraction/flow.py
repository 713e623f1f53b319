"""Builds the text of a page piece by piece, and keeps the offset of each piece."""

import re

_BLANKS = re.compile(r"[ \t\r\n\f\v\u00a0]+")
_WIDTHS = {"": 0, " ": 1, "\t": 2, "\n": 3, "\n\n": 4}


class Flow:
    """A text under construction, with one gap between two pieces: the widest that was asked for."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._gap = ""
        self.end = 0
        """The length of the text so far, in characters."""

    def write(self, text: str) -> None:
        """Add text in which a line break means a space."""
        text = _BLANKS.sub(" ", text)
        if text[:1] == " ":
            self.separate(" ")
        if core := text.strip(" "):
            self._append(core)
            if text[-1] == " ":
                self.separate(" ")

    def write_lines(self, text: str) -> None:
        """Add text whose line breaks and indentation are kept."""
        for number, line in enumerate(text.replace("\r\n", "\n").split("\n")):
            if number:
                self.break_line()
            if line.strip():
                self._append(line.rstrip())

    def separate(self, gap: str) -> None:
        """Ask for a gap before the next piece: a space, a tab, or one or two line breaks."""
        if _WIDTHS[gap] > _WIDTHS[self._gap]:
            self._gap = gap

    def break_line(self) -> None:
        """Ask for a line break; a second call asks for an empty line."""
        self._gap = "\n\n" if self._gap.startswith("\n") else "\n"

    @property
    def next(self) -> int:
        """The offset at which the next piece will begin, in characters."""
        return self.end + len(self._gap) if self._pieces else 0

    def mark(self) -> int:
        """Return a mark for `since`."""
        return len(self._pieces)

    def since(self, mark: int) -> str:
        """Return the text that was added after a mark, on one line."""
        return " ".join("".join(self._pieces[mark:]).split())

    def text(self) -> str:
        """Return the text so far, without white space at either end."""
        return "".join(self._pieces)

    def _append(self, piece: str) -> None:
        if self._pieces and self._gap:
            self._pieces.append(self._gap)
            self.end += len(self._gap)
        self._gap = ""
        self._pieces.append(piece)
        self.end += len(piece)
