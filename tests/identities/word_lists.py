"""Two sets of names that have nothing to do with each other: one to look at while rules are made, one kept apart."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WordLists:
    """What generated names are made of; last names, places and the heads of organisations are put together of parts."""

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
    return WordLists(**lists, **parts)  # type: ignore[arg-type]  # the fields say which is which


def _words(lines: list[str]) -> list[str]:
    return " ".join(lines).split()


OPEN, APART = _read("open"), _read("apart")
