"""Mutants: small wrong changes of the product, each with the promise that it breaks and the tests that must fail.

A mutant is a file `tests/mutants/AREA/NAME.patch`:

    Promise: one sentence, what users lose if the guard is gone.
    Tests: tests/unit/a/test_b.py::test_c tests/unit/a/test_d.py

    --- a/perdure/a/b.py
    +++ b/perdure/a/b.py
    @@ -1,3 +1,2 @@
    ...

An optional line `Survives: reason` marks a mutant that no fast test can tell from the product.
"""

import dataclasses
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
_FIELD = re.compile(r"^(Promise|Tests|Survives):[ \t]*(.*)$", re.MULTILINE)
_CHANGED_FILE = re.compile(r"^--- a/(\S+)\n\+\+\+ b/(\S+)$", re.MULTILINE)


class InvalidMutant(Exception):
    """A patch file, or a selection of mutants, that cannot be used; the message is one sentence."""


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One patch file: a wrong change of the product, and the tests that must notice it."""

    area: str
    name: str
    path: Path
    promise: str
    tests: tuple[str, ...]
    survives: str | None
    """The reason why no fast test can fail for this mutant; None for a mutant that must be killed."""
    changed_files: tuple[str, ...]
    """The product files that the patch changes, relative to the project's folder."""

    @property
    def label(self) -> str:
        """The area and the name, as the command line takes them."""
        return f"{self.area}/{self.name}"


def read_mutant(path: Path) -> Mutant:
    """Parse one patch file.

    Raises:
        InvalidMutant: a line is missing or given twice, or the patch changes no file of the product.
    """
    label = f"{path.parent.name}/{path.name}"
    text = path.read_text(encoding="utf-8")
    changes = list(_CHANGED_FILE.finditer(text))
    if not changes:
        raise InvalidMutant(f"{label} changes no existing file: the patch has no lines --- a/FILE and +++ b/FILE.")
    fields: dict[str, str] = {}
    for name, value in _FIELD.findall(text[: changes[0].start()]):
        if name in fields:
            raise InvalidMutant(f"{label} has two lines {name}: and may have only one.")
        fields[name] = value.strip()
    for name in ("Promise", "Tests"):
        if not fields.get(name):
            raise InvalidMutant(f"{label} needs a line {name}: with a value before the patch.")
    if fields.get("Survives") == "":
        raise InvalidMutant(f"{label} needs a reason in its line Survives:.")
    for before, after in (change.groups() for change in changes):
        if before != after or after.startswith("tests/"):
            raise InvalidMutant(f"{label} may change only existing files of the product, and changes {after}.")
    return Mutant(
        area=path.parent.name,
        name=path.stem,
        path=path,
        promise=fields["Promise"],
        tests=tuple(fields["Tests"].split()),
        survives=fields.get("Survives"),
        changed_files=tuple(change[2] for change in changes),
    )


def check_patch(mutant: Mutant) -> str:
    """Return git's complaint about a patch that does not apply to this tree; empty if it applies."""
    # git must not find the repository of a folder above a tree that is no repository
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(ROOT.parent)}
    command = ["git", "apply", "--check", "-C1", str(mutant.path)]
    checked = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return checked.stderr if checked.returncode else ""


def read_mutants(folder: Path = FOLDER) -> list[Mutant]:
    """Parse every patch of a folder of areas, in the order of areas and names.

    Raises:
        InvalidMutant: a patch cannot be used.
    """
    return [read_mutant(path) for path in sorted(folder.glob("*/*.patch"))]


def select_mutants(mutants: Sequence[Mutant], names: Sequence[str]) -> list[Mutant]:
    """Return the mutants that a list of areas, names, or AREA/NAME selects; an empty list selects all.

    Raises:
        InvalidMutant: there is no mutant, or a name selects none.
    """
    if not mutants:
        raise InvalidMutant(f"{FOLDER} holds no patch.")
    chosen: set[str] = set()
    for name in names:
        labels = {mutant.label for mutant in mutants if name in (mutant.area, mutant.name, mutant.label)}
        if not labels:
            areas = ", ".join(sorted({mutant.area for mutant in mutants}))
            raise InvalidMutant(f"No area and no mutant is called {name}; the areas are: {areas}.")
        chosen |= labels
    return [mutant for mutant in mutants if not names or mutant.label in chosen]
