"""Given names that are real, so that one is never taken for the misspelling of another; whatever they are, folded."""

from pathlib import Path

GIVEN_NAMES = frozenset(Path(__file__).with_suffix(".txt").read_text("ascii").split())
