"""Makes discovered and processed documents for the tests of stores, without reading a file."""

import hashlib

import numpy as np

from perdure.analysis.annotations import EMBEDDING_DIMENSIONS, Chunk, Mention
from perdure.documents.document import DiscoveredDocument, ProcessedDocument


def discovered(name: str, version: str = "v1") -> DiscoveredDocument:
    """Return a document as discovery lists it in the folder `/papers`."""
    return DiscoveredDocument(
        uri=f"file:///papers/{name}", name=name, source="file:///papers", size_bytes=10 + len(name), version=version
    )


def sha256_of(text: str) -> str:
    """Return the SHA-256 of a text in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def processed(text: str = "Ada met Charles.", quality: float = 0.9) -> ProcessedDocument:
    """Return a result with one chunk and one mention.

    Texts of different lengths have different embeddings.
    """
    embeddings = np.zeros((1, EMBEDDING_DIMENSIONS), dtype=np.float32)
    embeddings[0, len(text) % EMBEDDING_DIMENSIONS] = 1.0
    return ProcessedDocument(
        sha256=sha256_of(text),
        size_bytes=len(text),
        media_type="text/plain",
        text=text,
        title=None,
        page_offsets=(0,),
        properties={"words": len(text.split())},
        chunks=(Chunk(0, len(text)),),
        embeddings=embeddings,
        mentions=(Mention(0, 3, "person", text[:3], text[:3].casefold() or "x", 0.8),),
        quality_score=quality,
    )
