"""Two disjoint sets of names: `OPEN` for the development of the rules, `APART` for their evaluation."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WordLists:
    """Words for generated names; last names, places and organisations are also composed from the parts."""

    firsts: list[str]
    lasts: list[str]
    last_parts: tuple[list[str], list[str]]
    heads: tuple[list[str], list[str]]
    trades: list[str]
    legal_forms: list[str]
    place_parts: tuple[list[str], list[str]]
    places: list[str]


def _read(name: str) -> WordLists:
    written = json.loads(Path(__file__).with_name(f"{name}.json").read_text("utf-8"))
    lists = {key: _words(value) for key, value in written.items() if isinstance(value[0], str)}
    parts = {key: (_words(value[0]), _words(value[1])) for key, value in written.items() if isinstance(value[0], list)}
    return WordLists(**lists, **parts)  # type: ignore[arg-type]  # mypy cannot know which keys have parts


def _words(lines: list[str]) -> list[str]:
    return " ".join(lines).split()


OPEN = _read("open")
APART = _read("apart")
