"""Vectors for chunks, behind an interface so that another model can be put in."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import wordllama

from perdure.documents.document import EMBEDDING_DIMENSIONS


class Embedder(Protocol):
    def embed(self, passages: Sequence[str]) -> npt.NDArray[np.float32]:
        """Shape (len(passages), EMBEDDING_DIMENSIONS), each row of unit length."""
        ...


class WordLlamaEmbedder:
    """WordLlama's 256-dimensional static embeddings; the model comes with the wheel."""

    def embed(self, passages: Sequence[str]) -> npt.NDArray[np.float32]:
        if not passages:
            return np.zeros((0, EMBEDDING_DIMENSIONS), np.float32)
        vectors = np.asarray(_model().embed(list(passages), norm=False), np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        # A passage without a single known token has no direction; it gets one, so that every row is a unit vector.
        vectors[lengths[:, 0] == 0] = np.eye(1, EMBEDDING_DIMENSIONS, dtype=np.float32)
        lengths[lengths == 0] = 1.0
        unit: npt.NDArray[np.float32] = (vectors / lengths).astype(np.float32)
        return unit


@cache
def _model() -> Any:
    # Told where its own files are, and not to look for them elsewhere.
    return wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
