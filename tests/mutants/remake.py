"""Make the patches of mutants again that no longer apply because lines around their change were edited.

`python -m tests.mutants.remake` looks for the changed lines of a patch in the current file. It lists the patches whose
changed lines were edited, and ends with exit code 1: make these by hand.
"""

import difflib
import re
import sys
from pathlib import Path

from tests.mutants.patches import ROOT, Mutant, check_patch, read_mutants

_FILE = re.compile(r"^--- a/(\S+)\n\+\+\+ .*\n", re.MULTILINE)
_HUNK = re.compile(r"^@@ -(\d+)[^\n]*\n", re.MULTILINE)


class ChangedLinesMissing(Exception):
    """The file no longer has the lines that a patch changes."""


def remake(mutant: Mutant) -> str:
    """Return the text of the patch file with the same change of the current files.

    Raises:
        ChangedLinesMissing: a file no longer has the lines that the patch changes.
    """
    text = mutant.path.read_text(encoding="utf-8")
    header, *parts = _FILE.split(text)
    for name, hunks in zip(parts[::2], parts[1::2], strict=True):
        before = (ROOT / name).read_text(encoding="utf-8").splitlines()
        after = list(before)
        _, *pieces = _HUNK.split(hunks)
        for start, lines in zip(pieces[::2], pieces[1::2], strict=True):
            _replace(after, [line for line in lines.splitlines() if not line.startswith("\\")], int(start))
        header += "\n".join(difflib.unified_diff(before, after, f"a/{name}", f"b/{name}", lineterm="")) + "\n"
    return header


def _replace(file: list[str], hunk: list[str], start: int) -> None:
    """Make the change of a hunk at the place of its changed lines that is nearest to line `start`."""
    changed = [number for number, line in enumerate(hunk) if line.startswith(("+", "-"))]
    first, last = changed[0], changed[-1]
    spans = [(first, last)]
    if not any(line.startswith("-") for line in hunk[first : last + 1]):
        # An insertion is found by the unchanged line before it, or by the one after it.
        spans = [(first - 1, last)] if first else []
        spans += [(first, last + 1)] if last + 1 < len(hunk) else []
    for begin, end in spans:
        old = [line[1:] for line in hunk[begin : end + 1] if not line.startswith("+")]
        new = [line[1:] for line in hunk[begin : end + 1] if not line.startswith("-")]
        places = [place for place in range(len(file)) if file[place : place + len(old)] == old]
        if places:
            place = min(places, key=lambda place: abs(place - (start - 1 + begin)))
            file[place : place + len(old)] = new
            return
    raise ChangedLinesMissing


def main() -> int:
    """Remake all patches that do not apply, and return the exit code."""
    failed: list[Path] = []
    for mutant in read_mutants():
        if not check_patch(mutant):
            continue
        try:
            mutant.path.write_text(remake(mutant), encoding="utf-8")
        except ChangedLinesMissing:
            failed.append(mutant.path)
        else:
            sys.stdout.write(f"remade {mutant.label}\n")
    for path in failed:
        sys.stdout.write(f"{path.relative_to(ROOT)}: the changed lines were edited; make the patch by hand.\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
