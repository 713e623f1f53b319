"""The writer of the works diary, with an entry for each working day of 22 months.

`story/diary.yaml` has the text of the days with events. The entries of all other days are composed of its sentences.
The choice of sentences for a day depends on the date alone.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import yaml

from tools.samples.source import STORY

_SATURDAY = 5


def make_diary() -> bytes:
    """Return the diary as plain text in UTF-8, entries in order of date."""
    content = yaml.safe_load((STORY / "diary.yaml").read_text(encoding="utf-8"))
    return "\n".join([content["preface"], *_entries(content)]).encode()


def _entries(content: dict[str, Any]) -> Iterator[str]:
    day = content["first_day"]
    while day <= content["last_day"]:
        if day.weekday() < _SATURDAY or day in content["events"]:
            yield _entry(day, content)
        day += timedelta(days=1)


def _entry(day: date, content: dict[str, Any]) -> str:
    phase = next(phase for phase in content["phases"] if day <= phase["until"])
    water = 4.6 + _number(day, "water", 18) / 10
    figures = f"high water {water:.1f} m. {6 + _number(day, 'gang', 19)} on site."
    lines = [
        f"{day:%A}, {day.day} {day:%B %Y}",
        f"  {_pick(day, 'weather', content['weather'])}; wind {_pick(day, 'wind', content['winds'])}; {figures}",
    ]
    if day in content["events"]:
        lines.append(f"  {content['events'][day]}")
    else:
        first, second = _pick_two(day, phase["work"])
        lines += [f"  {_fill(day, first)}", f"  {_fill(day, second)}"]
        lines.append(f"  {_fill(day, _pick(day, 'delivery', content['deliveries']))}")
        lines.append(f"  {_fill(day, _pick(day, 'remark', content['remarks']))}")
    return "\n".join(lines) + "\n"


def _fill(day: date, sentence: str) -> str:
    return sentence.format(
        n=2 + _number(day, f"n{sentence}", 17),
        m=3 + _number(day, f"m{sentence}", 90),
        p=f"{1 + _number(day, f'p{sentence}', 9):02}",
        s="ABCDE"[_number(day, f"s{sentence}", 5)],
        t=f"T-{4000 + day.toordinal() % 1000}",
        c=f"{180 + 5 * _number(day, f'c{sentence}', 700):,}.00",
    )


def _pick_two(day: date, sentences: Sequence[str]) -> tuple[str, str]:
    first = _number(day, "work", len(sentences))
    second = (first + 1 + _number(day, "other", len(sentences) - 1)) % len(sentences)
    return sentences[first], sentences[second]


def _pick(day: date, slot: str, choices: Sequence[str]) -> str:
    return choices[_number(day, slot, len(choices))]


def _number(day: date, slot: str, below: int) -> int:
    """Return a number in [0, below) that depends on the day and the slot alone.

    The number comes from a hash, because `random` may change between Python versions.
    """
    return int.from_bytes(hashlib.sha256(f"{day.isoformat()} {slot}".encode()).digest()[:4]) % below
