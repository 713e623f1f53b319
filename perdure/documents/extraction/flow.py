"""Text as a reader sees it, put together piece by piece, so that it is known where each piece came to stand."""

import re

_BLANKS = re.compile(r"[ \t\r\n\f\v\u00a0]+")
_WIDTHS = {"": 0, " ": 1, "\t": 2, "\n": 3, "\n\n": 4}


class Flow:
    """Runs of white space become one gap, as wide as the widest thing that asked for one."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._gap = ""
        self.end = 0
        """Where the text ends by now, in characters."""

    def write(self, text: str) -> None:
        """Add text in which line breaks are only spaces."""
        text = _BLANKS.sub(" ", text)
        if text[:1] == " ":
            self.separate(" ")
        if core := text.strip(" "):
            self._append(core)
            if text[-1] == " ":
                self.separate(" ")

    def write_lines(self, text: str) -> None:
        """Add text whose line breaks and indentation mean something."""
        for number, line in enumerate(text.replace("\r\n", "\n").split("\n")):
            if number:
                self.break_line()
            if line.strip():
                self._append(line.rstrip())

    def separate(self, gap: str) -> None:
        """Ask for a gap before whatever comes next: a space, a tab, or one or two line breaks."""
        if _WIDTHS[gap] > _WIDTHS[self._gap]:
            self._gap = gap

    def break_line(self) -> None:
        """Ask for a line break; the second one asks for an empty line."""
        self._gap = "\n\n" if self._gap.startswith("\n") else "\n"

    @property
    def next(self) -> int:
        """Where the next piece will begin."""
        return self.end + len(self._gap) if self._pieces else 0

    def mark(self) -> int:
        """To be given to `since`."""
        return len(self._pieces)

    def since(self, mark: int) -> str:
        """What was added after a mark, on one line."""
        return " ".join("".join(self._pieces[mark:]).split())

    def text(self) -> str:
        """Everything, without white space at either end."""
        return "".join(self._pieces)

    def _append(self, piece: str) -> None:
        if self._pieces and self._gap:
            self._pieces.append(self._gap)
            self.end += len(self._gap)
        self._gap = ""
        self._pieces.append(piece)
        self.end += len(piece)
