"""Embeds passages as vectors, behind a protocol so that another model can replace this one."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import wordllama

from perdure.analysis.annotations import EMBEDDING_DIMENSIONS


class Embedder(Protocol):
    """Turns passages into vectors."""

    def embed(self, passages: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return rows of unit length, shape (len(passages), EMBEDDING_DIMENSIONS)."""
        ...


class WordLlamaEmbedder:
    """WordLlama's static embeddings with 256 dimensions. The wheel contains the model."""

    def embed(self, passages: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return rows of unit length, shape (len(passages), EMBEDDING_DIMENSIONS)."""
        if not passages:
            return np.zeros((0, EMBEDDING_DIMENSIONS), np.float32)
        vectors = np.asarray(_load_model().embed(list(passages), norm=False), np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        # A passage without a known token has the zero vector. It gets a fixed direction, since each row has length 1.
        vectors[lengths[:, 0] == 0] = np.eye(1, EMBEDDING_DIMENSIONS, dtype=np.float32)
        lengths[lengths == 0] = 1.0
        unit: npt.NDArray[np.float32] = (vectors / lengths).astype(np.float32)
        return unit


@cache
def _load_model() -> Any:
    # Both arguments keep WordLlama from looking for its files on the network.
    return wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
