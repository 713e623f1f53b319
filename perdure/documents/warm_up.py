"""Loads every library and model that reads documents, once, in the zygote.

Importing this module loads nothing heavy, so that a worker can start its zygote before it imports the rest.
"""

WARM_UP = "perdure.documents.warm_up:warm_up"
"""Names `warm_up` to the zygote."""


def warm_up() -> None:
    """Load every library and model, so that the first document does not wait for them."""
    from perdure.analysis.loading import load_models  # noqa: PLC0415 - heavy

    # The models come first: they must be the first to import spaCy.
    load_models()
    from perdure.documents import answers, formats, processing  # noqa: F401, PLC0415 - every child needs them
    from perdure.documents.extraction import metadata  # noqa: F401, PLC0415 - heavy

    formats.warm_up()
