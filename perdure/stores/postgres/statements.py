"""Load the SQL statements of the `.sql` files in the folder `sql` beside this module.

A file holds several statements. Each begins with a line `-- name: lease_batch`, and the comment lines after that line
describe it. Its parameters are written `:name`. The server gets `$1`, `$2` and so on. They are numbered once, when the
statement is loaded, so the server always sees the same text, and prepared statements stay cached.

`{name}` stands for the text of the statement of that name, or for a constant that `Statement.using` fills in.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

_HEADER = re.compile(r"^-- name: *([a-z0-9_]+) *\n", re.MULTILINE)
_DESCRIPTION = re.compile(r"(?:^--.*\n)*", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
# Strings, comments and casts are matched first, so that a colon inside one of them begins no parameter.
_PARAMETER = re.compile(r"'(?:[^']|'')*'|--[^\n]*|::|:([a-z][a-z0-9_]*)")


@dataclass(frozen=True)
class Statement:
    """One statement of a `.sql` file, or a part that other statements include by its name."""

    name: str
    description: str
    template: str

    def using(self, **constants: str) -> "Statement":
        """Return the statement with each `{name}` replaced by a constant, such as a table's name."""
        return Statement(self.name, self.description, _fill(self.template, constants))

    def bind(self, **values: Any) -> tuple[Any, ...]:
        """Return the text and the arguments: `await conn.fetch(*statement.bind(epoch=1))`.

        Raises:
            TypeError: the names are not those of the statement's parameters.
        """
        text, parameters = self._numbered
        if len(values) != len(parameters) or any(name not in values for name in parameters):
            raise TypeError(f"The statement {self.name} takes {sorted(parameters)}, not {sorted(values)}.")
        return (text, *[values[name] for name in parameters])

    @property
    def text(self) -> str:
        """The statement as the server gets it.

        Raises:
            ValueError: a `{name}` has not been filled in.
        """
        return self._numbered[0]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters, in the order of `$1`, `$2` and so on."""
        return self._numbered[1]

    @cached_property
    def _numbered(self) -> tuple[str, tuple[str, ...]]:
        if missing := _PLACEHOLDER.search(self.template):
            raise ValueError(f"The statement {self.name} needs a text for {missing[0]}.")
        numbers: dict[str, int] = {}

        def number(match: re.Match[str]) -> str:
            name = match[1]
            return f"${numbers.setdefault(name, len(numbers) + 1)}" if name else match[0]

        text = _PARAMETER.sub(number, self.template)
        return text, tuple(numbers)


def load_statements(file_name: str, *included: str) -> dict[str, Statement]:
    """Read the statements of one file, by name.

    Args:
        file_name: a file of the folder `sql`, such as `manifest.sql`.
        included: more files. The statements of the first file may include their statements as `{name}`.
    """
    parts: dict[str, str] = {}
    for other in included:
        parts |= {name: template for name, _, template in _read(other)}
    statements = {}
    for name, description, template in _read(file_name):
        parts[name] = _fill(template, parts)
        statements[name] = Statement(name, description, parts[name])
    return statements


def count_rows(outcome: str) -> int:
    """Return the number of written rows from the server's answer, such as `INSERT 0 3`."""
    return int(outcome.rsplit(" ", 1)[1])


def _read(file_name: str) -> Iterator[tuple[str, str, str]]:
    text = files("perdure.stores.postgres").joinpath("sql", file_name).read_text("utf-8")
    pieces = _HEADER.split(text)[1:]
    for name, piece in zip(pieces[::2], pieces[1::2], strict=True):
        comments = _DESCRIPTION.match(piece)
        end = comments.end() if comments else 0
        description = " ".join(line.removeprefix("--").strip() for line in piece[:end].splitlines())
        yield name, description, piece[end:].strip().removesuffix(";")


def _fill(template: str, texts: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: texts.get(match[1], match[0]), template)
