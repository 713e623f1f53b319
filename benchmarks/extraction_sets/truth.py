"""Generates documents, so that their words, headings, tables and properties are known."""

import random
from dataclasses import dataclass, field

_OPENINGS = ("The harbour office", "Clara Nowak", "Finch & Sons Ltd", "The council of Łódź", "Dr. Jürgen Groß")
_VERBS = ("wrote to", "has paid", "asked", "doesn’t answer", "met", "insured", "re-elected")  # noqa: RUF001 - as written
_OBJECTS = ("every tenant on the east quay", "£1,250.50 for berth 7", "the ferry company’s engineers",  # noqa: RUF001
            "café owners from São Paulo", "three ships", "a well-known émigré", "the 2024—25 budget")  # fmt: skip
_ENDINGS = ("before the storm of 5 March 2024", "at 50 % of last year’s rent", "in the old warehouse",  # noqa: RUF001
            "(see page 12)", "without a word", "<as agreed>", "by e-mail to ann@harbour.example")  # fmt: skip
_NOUNS = ("Rents", "Berths & cranes", "Storm damage", "Tides", "Insurance", "The east quay", "Ferries", "Łódź Lines")
_AUTHORS = ("Clara Nowak", "Bo Lind", "Zoë Müller")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 or 2."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table: the text of each cell, row by row."""

    rows: tuple[tuple[str, ...], ...]


Block = Heading | Table | str
"""A plain string is a paragraph."""


@dataclass(frozen=True, slots=True)
class Truth:
    """The content and properties of a document; each page begins with a heading of level 1."""

    title: str
    authors: tuple[str, ...]
    created: str
    """ISO 8601, UTC."""
    language: str
    pages: tuple[tuple[Block, ...], ...]
    names: tuple[str, ...] = field(default=())
    """The unique name of each page."""

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of all pages."""
        return tuple(block for page in self.pages for block in page)

    @property
    def headings(self) -> list[Heading]:
        """The headings of all pages."""
        return [block for block in self.blocks if isinstance(block, Heading)]

    @property
    def tables(self) -> list[Table]:
        """The tables of all pages."""
        return [block for block in self.blocks if isinstance(block, Table)]

    @property
    def text(self) -> str:
        """The text of all blocks, a line for each paragraph, heading and table row."""
        return "\n".join(words_of(block) for block in self.blocks)


def words_of(block: Block) -> str:
    """Return the text of a block."""
    if isinstance(block, Table):
        return "\n".join(" ".join(row) for row in block.rows)
    return block.text if isinstance(block, Heading) else block


def generate(seed: int, *, pages: int = 4) -> Truth:
    """Return a document; the same seed always gives the same document."""
    chance = random.Random(seed)  # noqa: S311 - the documents must be repeatable
    names = tuple(f"{number}. {chance.choice(_NOUNS)}" for number in range(1, pages + 1))
    return Truth(
        title=f"Report {seed} on {chance.choice(_NOUNS)}",
        authors=tuple(chance.sample(_AUTHORS, 1 + seed % 2)),
        created=f"20{10 + seed % 15}-0{1 + seed % 9}-1{seed % 10}T0{seed % 10}:30:00Z",
        language="en",
        pages=tuple(_page(chance, name) for name in names),
        names=names,
    )


def _page(chance: random.Random, name: str) -> tuple[Block, ...]:
    blocks: list[Block] = [Heading(1, name), _paragraph(chance), _paragraph(chance)]
    blocks.append(Heading(2, f"{chance.choice(_NOUNS)} in {chance.randint(1990, 2024)}"))
    blocks.append(_paragraph(chance))
    columns = chance.randint(2, 4)
    rows = [tuple(f"{chance.choice(_NOUNS)} {number}" for number in range(columns))]
    rows += [tuple(_cell(chance) for _ in range(columns)) for _ in range(chance.randint(2, 5))]
    return (*blocks, Table(tuple(rows)), _paragraph(chance))


def _paragraph(chance: random.Random) -> str:
    return " ".join(
        f"{chance.choice(_OPENINGS)} {chance.choice(_VERBS)} {chance.choice(_OBJECTS)} {chance.choice(_ENDINGS)}."
        for _ in range(chance.randint(2, 4))
    )


def _cell(chance: random.Random) -> str:
    return chance.choice((f"{chance.randint(1, 999)}.5", chance.choice(_NOUNS), f"{chance.choice(_NOUNS)}, paid"))
