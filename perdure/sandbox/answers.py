"""What comes back from a process that has read a hostile document, taken for no more than it may be.

Such a process may have been taken over, and a pickle can make whoever loads it do anything. So only what an answer is
made of is loaded: our own data classes and errors, arrays and dates. Everything else is no answer.
"""

import io
import pickle
from dataclasses import is_dataclass
from typing import Any

from perdure.documents.document import ProcessedDocument
from perdure.errors import DependencyUnavailable, DocumentError, ParserCrashed

_OWN = ("perdure.documents.", "perdure.analysis.", "perdure.errors")
_OTHERS = {
    ("numpy", "ndarray"), ("numpy", "dtype"),
    ("numpy._core.numeric", "_frombuffer"), ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("datetime", "datetime"), ("datetime", "date"), ("datetime", "timezone"), ("datetime", "timedelta"),
}  # fmt: skip
_WANTED: dict[bool | None, tuple[type, ...]] = {
    True: (ProcessedDocument,),
    False: (DocumentError, DependencyUnavailable),
    None: (tuple,),
}


class _Answer(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _OTHERS:
            return super().find_class(module, name)
        if module.startswith(_OWN) and "." not in name:
            found = super().find_class(module, name)
            own = isinstance(found, type) and found.__module__ == module
            if own and (is_dataclass(found) or issubclass(found, Exception)):
                return found
        raise pickle.UnpicklingError(f"an answer may not hold {module}.{name}")


def loaded(answer: bytes | bytearray) -> tuple[bool | None, Any]:
    """What `child.serve` sent: (succeeded, document or error), or (None, progress).

    Raises:
        ParserCrashed: it is not that.
    """
    try:
        return _checked(*_Answer(io.BytesIO(answer)).load())
    except Exception as error:
        raise ParserCrashed("What the parser sent is no answer.") from error


def _checked(succeeded: Any, result: Any) -> tuple[bool | None, Any]:
    """Of the kind that goes with the first of the two."""
    if not issubclass(type(result), _WANTED[succeeded]):
        raise TypeError(type(result).__name__)
    if succeeded is None:
        said, parts = result
        return None, (str(said), bytes(parts))
    return succeeded, result
