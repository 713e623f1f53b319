"""Limits on one document, for the process that reads it and for the stages of processing it."""

from dataclasses import dataclass

from perdure.sandbox.limits import ProcessLimits


@dataclass(frozen=True, slots=True)
class Limits(ProcessLimits):
    """Limits on one document; docs/configuration.md lists the variables that set them."""

    extraction_cpu_seconds: float = 60.0
    """CPU time for extracting the text."""
    analysis_cpu_seconds: float = 30.0
    """CPU time for chunks, mentions and embeddings, in addition to the time that the length of the text allows."""
    analysis_characters_per_second: float = 5_000.0
    """Characters of text that allow one more CPU second: an eighth of the speed measured, for slow machines."""

    def analysis_seconds(self, characters: int) -> float:
        """Return the CPU seconds that the analysis of a text of this length may take."""
        return self.analysis_cpu_seconds + characters / self.analysis_characters_per_second
