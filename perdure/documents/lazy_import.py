"""Imports a function by its name, so that a process loads only the parsers that it uses."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any


@cache
def load(reference: str) -> Callable[..., Any]:
    """Import a module and return one of its functions.

    Args:
        reference: `package.module:function`.

    Raises:
        ImportError: there is no such module.
        AttributeError: the module has no such function.
    """
    module, _, name = reference.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function
