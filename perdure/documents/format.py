"""The row of the table of formats."""

from dataclasses import dataclass

from perdure.documents.recognition.recognisers import Recogniser


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One document format.

    A function is named by a text `module:function`, and imported when it is first needed.
    """

    label: str
    """The format's name in reports."""
    media_types: tuple[str, ...]
    """The first media type is stored with each document of the format; the others are synonyms in older results."""
    extensions: tuple[str, ...]
    """Lower case, without the dot. They matter to recognition only where `claims_extensions` is set."""
    recognise: Recogniser
    """Returns whether a document is of the format. The first row that recognises a document reads it."""
    extractor: str
    """`module:function`, called with an `ExtractionInput`; returns an `Extracted`."""
    why_no_text: str
    """`module:function`, called with the file's bytes and the `Extracted` that has no text; returns the reason."""
    claims_extensions: bool = False
    """Whether the extension decides: true for formats of plain text, whose content cannot be distinguished."""
    warm_up: str | None = None
    """`module:function`, called once in the process from which all parsers are forked."""

    @property
    def media_type(self) -> str:
        """The media type that is stored with each document of the format."""
        return self.media_types[0]
