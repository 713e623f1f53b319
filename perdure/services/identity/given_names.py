"""A list of real given names, folded, so that one is never taken for a misspelling of another."""

from importlib import resources

GIVEN_NAMES = frozenset(resources.files(__package__).joinpath("given_names.txt").read_text("ascii").split())
