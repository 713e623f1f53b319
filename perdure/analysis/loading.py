"""Loads the models of this package, so that the first text does not wait for them."""

import sys
from types import ModuleType

_SAMPLE = "Ada Lovelace met Charles Babbage in London on 5 June 1833."


def load_models() -> None:
    """Load the models for chunks, mentions and embeddings.

    Call this once, in a process that has not imported spaCy.
    """
    _skip_spacys_command_line()
    from perdure.analysis.chunking import chunk  # noqa: PLC0415 - takes a second
    from perdure.analysis.embeddings import WordLlamaEmbedder  # noqa: PLC0415 - takes a second
    from perdure.analysis.mentions import find_mentions  # noqa: PLC0415 - takes a second

    chunk(_SAMPLE)
    find_mentions(_SAMPLE)
    WordLlamaEmbedder().embed([_SAMPLE])


def _skip_spacys_command_line() -> None:
    # `import spacy` imports its command line, with a web client, for one function that is never called here. An empty
    # module in its place saves a seventh of the time to load.
    info = ModuleType("spacy.cli.info")
    info.info = None  # type: ignore[attr-defined]  # the only name that spaCy imports from it
    sys.modules |= {"spacy.cli": ModuleType("spacy.cli"), info.__name__: info}
