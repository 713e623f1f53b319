"""The known given names, folded. A known name never counts as a misspelling."""

from importlib import resources

GIVEN_NAMES = frozenset(resources.files(__package__).joinpath("given_names.txt").read_text("ascii").split())
