"""From what a pickle describes to plain containers, numbers and texts."""

from __future__ import annotations

import contextlib
from typing import Any, Final

from framehook.inference.checkpoints.pickled import Inert, Name

_MAX_PARTS: Final = 100_000
_MAX_DEPTH: Final = 32
_NAMESPACES: Final = ("SimpleNamespace", "Namespace", "IterableSimpleNamespace")


class NotPlainError(Exception):
    """Part of a value is neither a container, a number nor a text, or it is too large; the message says which."""


def plain(value: Any) -> Any:
    """A copy in dicts with texts or numbers for keys, lists, tuples, texts, numbers, booleans and None alone.

    Namespaces become dicts, sets lists, and dtypes and devices their names. Parts that several share are copied for each, up
    to a bound: a forged file can share them so that the copies grow exponentially.

    Raises:
        NotPlainError: that cannot be done.
    """
    return _Copying().copy(value, 0)


def plain_entries(value: Any) -> dict[str, Any]:
    """The entries of a table or namespace, without those that are not plain; nothing where it is neither."""
    table = value.state if type(value) is Inert else value
    entries: dict[str, Any] = {}
    if type(table) is dict:
        copying = _Copying()
        for key, item in table.items():
            if type(key) is str:
                with contextlib.suppress(NotPlainError):
                    entries[key] = copying.copy(item, 1)
    return entries


class _Copying:
    def __init__(self) -> None:
        self.parts = 0

    def copy(self, value: Any, depth: int) -> Any:
        self.parts += 1
        if self.parts > _MAX_PARTS or depth > _MAX_DEPTH:
            raise NotPlainError("something that is too large")
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) is Inert and value.of.name in _NAMESPACES:
            value = value.state
        if type(value) is dict:
            if not all(type(key) in (bool, int, float, str) or key is None for key in value):
                raise NotPlainError("a key that is no text")
            return {key: self.copy(item, depth + 1) for key, item in value.items()}
        if type(value) in (list, set, frozenset):
            return [self.copy(item, depth + 1) for item in value]
        if type(value) is tuple:
            return tuple(self.copy(item, depth + 1) for item in value)
        if type(value) is Name and value.module == "torch":
            return str(value)
        raise NotPlainError(f"a {value.of if type(value) is Inert else type(value).__name__}")
