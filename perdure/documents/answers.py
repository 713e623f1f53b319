"""Encodes a processed document in the child that made it, and decodes it in the worker.

A hostile document may have taken over the child, and a pickle can make the process that loads it run any code. So the
decoder imports nothing that the bytes name, except the values that a processed document consists of.
"""

import io
import pickle
from typing import Any

from perdure.analysis.annotations import Chunk, Mention
from perdure.documents.document import ProcessedDocument, Section, Table

_VALUES = {
    (value.__module__, value.__qualname__): value for value in (ProcessedDocument, Section, Table, Chunk, Mention)
}
_NUMPY = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
}
"""The functions and classes of NumPy that a pickled array names."""


class ProcessedDocumentCodec:
    """`perdure.sandbox.job.AnswerCodec` for processed documents."""

    def encode(self, answer: ProcessedDocument) -> bytes:
        """Return the bytes of a processed document."""
        return pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)

    def decode(self, content: bytes | bytearray) -> ProcessedDocument:
        """Return the processed document that these bytes hold.

        Raises:
            TypeError: the bytes hold a value of another class.
            Exception: any other error that `pickle` raises for damaged bytes.
        """
        answer = _Unpickler(io.BytesIO(content)).load()
        if type(answer) is not ProcessedDocument:
            raise TypeError(type(answer).__name__)
        return answer


class _Unpickler(pickle.Unpickler):
    """Unpickles the values of a processed document, and refuses other classes and functions."""

    def find_class(self, module: str, name: str) -> Any:
        """Return an allowed class or function.

        Raises:
            pickle.UnpicklingError: the class or function is not allowed.
        """
        if (value := _VALUES.get((module, name))) is not None:
            return value
        if (module, name) in _NUMPY:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"An answer may not hold {module}.{name}.")
