"""Reads a pickle as data: an interpreter of its opcodes that can import nothing and call nothing.

A pickle is a small program. Python's own unpickler runs it: it imports what the program names and calls what it says. The one
here has no way to do either. A class or function that is named becomes a `Name`, an object that would be made by calling one
becomes whatever the caller's rules make of the name and the arguments, and what would be done to that object's attributes is
written down in an `Inert`.

Only opcodes that pickles of protocol 2 and later are made of are read. Nesting costs no stack, and every opcode costs about
the same, so the time and memory a file can take are bounded by its length.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

from framehook.inference.errors import ModelFormatError, UnsafeModelError

MAX_OPCODES: Final = 2_000_000
"""A checkpoint of the largest nets, with the optimizer's state, takes about 200,000."""

_MAX_INT_BYTES: Final = 32
_MAX_NAME: Final = 500
_MAX_KEY_PARTS: Final = 8
_MAX_SHOWN: Final = 80
_WORD: Final = re.compile(r"[\w.]+", re.ASCII)
_FIRST_PROTOCOL, _LAST_PROTOCOL = 2, 5


@dataclass(frozen=True, slots=True)
class Name:
    """A class or function a pickle names; it is not imported."""

    shown: ClassVar[str] = "class"

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Inert:
    """Stands in for an object that would have been made by calling `of` with `arguments`.

    Attributes:
        of: What would have been called.
        arguments: With what.
        state: What would have become its attributes.
        raw_state: What would have been handed to its own `__setstate__`, where that is no table of attributes.
    """

    __slots__ = ("arguments", "of", "raw_state", "state")

    def __init__(self, of: Name, arguments: tuple[Any, ...]) -> None:
        self.of = of
        self.arguments = arguments
        self.state: dict[str, Any] = {}
        self.raw_state: Any = None


class Rules(Protocol):
    """What a pickle may name, and what becomes of what it asks for."""

    def named(self, module: str, name: str) -> Name:
        """The stand-in of a class or function; raises UnsafeModelError for one that is not allowed."""

    def made(self, of: Name, arguments: tuple[Any, ...], spend: Callable[[int], None]) -> Any:
        """What calling `of` gives; `spend` is told how many items or bytes are copied for it."""

    def stored(self, key: Any) -> Any:
        """What a persistent id stands for."""


def read_pickle(data: bytes, rules: Rules) -> Any:
    """The object a pickle describes, of plain containers, numbers, texts, `Name`, `Inert` and what `rules` makes.

    Raises:
        UnsafeModelError: it wants something that `rules` does not allow.
        ModelFormatError: it is damaged, or larger than any checkpoint.
    """
    try:
        return _Reading(data, rules).value()
    except (IndexError, struct.error):
        raise ModelFormatError("its pickle is damaged or cut short") from None
    except UnicodeDecodeError:
        raise ModelFormatError("its pickle is damaged: a text in it is not UTF-8") from None


class _Reading:
    """One pass over one pickle."""

    def __init__(self, data: bytes, rules: Rules) -> None:
        self.data = data
        self.rules = rules
        self.at = 0
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.copied = 0

    def value(self) -> Any:
        data, opcodes = self.data, _OPCODES
        if data[:1] != b"\x80":
            raise ModelFormatError("its pickle is damaged, or of a protocol before 2")
        for _ in range(MAX_OPCODES):
            opcode = data[self.at]
            self.at += 1
            if opcode == _STOP:
                value = self.stack.pop()
                if self.stack or self.below:
                    raise ModelFormatError("its pickle is damaged: it ends with values left over")
                return value
            do = opcodes[opcode]
            if do is None:
                raise ModelFormatError(f"its pickle is damaged, or holds an opcode that no checkpoint needs: {opcode:#04x}")
            do(self)
        raise ModelFormatError(f"its pickle has more than {MAX_OPCODES:,} opcodes, more than any checkpoint")

    def spend(self, amount: int) -> None:
        # Copies of what is already there cost more than their opcode: all of them together may cost as much as the file.
        self.copied += amount
        if self.copied > MAX_OPCODES + len(self.data):
            raise ModelFormatError("its pickle copies its own parts over and over, as no checkpoint does")

    # What is read from the bytes.

    def taken(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self.data):
            raise IndexError
        piece = self.data[self.at : end]
        self.at = end
        return piece

    def unpacked(self, form: struct.Struct) -> int:
        (number,) = form.unpack_from(self.data, self.at)
        self.at += form.size
        return int(number)

    def line(self) -> str:
        end = self.data.find(b"\n", self.at, self.at + _MAX_NAME)
        if end < 0:
            raise IndexError
        piece = self.data[self.at : end]
        self.at = end + 1
        return piece.decode("utf-8")

    # Numbers, texts and bytes.

    def protocol(self) -> None:
        number = self.data[self.at]
        self.at += 1
        if not _FIRST_PROTOCOL <= number <= _LAST_PROTOCOL:
            raise ModelFormatError(f"its pickle is of protocol {number}; {_FIRST_PROTOCOL} to {_LAST_PROTOCOL} are known")

    def frame(self) -> None:
        if self.unpacked(_U8) > len(self.data) - self.at:
            raise IndexError

    def none(self) -> None:
        self.stack.append(None)

    def true(self) -> None:
        self.stack.append(True)

    def false(self) -> None:
        self.stack.append(False)

    def int1(self) -> None:
        self.stack.append(self.data[self.at])
        self.at += 1

    def int2(self) -> None:
        self.stack.append(self.unpacked(_U2))

    def int4(self) -> None:
        self.stack.append(self.unpacked(_I4))

    def long1(self) -> None:
        length = self.data[self.at]
        self.at += 1
        if length > _MAX_INT_BYTES:
            raise ModelFormatError(f"its pickle holds a number of {length} bytes")
        self.stack.append(int.from_bytes(self.taken(length), "little", signed=True))

    def float8(self) -> None:
        (number,) = _F8.unpack_from(self.data, self.at)
        self.at += 8
        self.stack.append(number)

    def text1(self) -> None:
        length = self.data[self.at]
        self.at += 1
        self.stack.append(self.taken(length).decode("utf-8"))

    def text4(self) -> None:
        self.stack.append(self.taken(self.unpacked(_U4)).decode("utf-8"))

    def text8(self) -> None:
        self.stack.append(self.taken(self.unpacked(_U8)).decode("utf-8"))

    def bytes1(self) -> None:
        length = self.data[self.at]
        self.at += 1
        self.stack.append(self.taken(length))

    def bytes4(self) -> None:
        self.stack.append(self.taken(self.unpacked(_U4)))

    def bytes8(self) -> None:
        self.stack.append(self.taken(self.unpacked(_U8)))

    # Containers.

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items = self.stack
        self.stack = self.below.pop()
        return items

    def pop_mark(self) -> None:
        self.since_mark()

    def pop(self) -> None:
        self.stack.pop()

    def empty_list(self) -> None:
        self.stack.append([])

    def empty_dict(self) -> None:
        self.stack.append({})

    def empty_set(self) -> None:
        self.stack.append(set())

    def empty_tuple(self) -> None:
        self.stack.append(())

    def tuple_of_marked(self) -> None:
        items = self.since_mark()
        self.stack.append(tuple(items))

    def tuple1(self) -> None:
        self.stack[-1] = (self.stack[-1],)

    def tuple2(self) -> None:
        last = self.stack.pop()
        self.stack[-1] = (self.stack[-1], last)

    def tuple3(self) -> None:
        last, middle = self.stack.pop(), self.stack.pop()
        self.stack[-1] = (self.stack[-1], middle, last)

    def frozen_set(self) -> None:
        items = self.since_mark()
        self.stack.append(frozenset(checked_keys(items)))

    def append(self) -> None:
        item = self.stack.pop()
        self.target(list).append(item)

    def appends(self) -> None:
        items = self.since_mark()
        self.target(list).extend(items)

    def add_items(self) -> None:
        items = self.since_mark()
        self.target(set).update(checked_keys(items))

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        checked_keys((key,))
        self.target(dict)[key] = value

    def set_items(self) -> None:
        items = self.since_mark()
        if len(items) % 2:
            raise IndexError
        self.target(dict).update(zip(checked_keys(items[::2]), items[1::2], strict=True))

    def target(self, kind: type) -> Any:
        container = self.stack[-1]
        if type(container) is not kind:
            raise ModelFormatError(
                f"its pickle is damaged: it fills as a {kind.__name__} what is none ({shown_kind(container)})"
            )
        return container

    # What was seen before.

    def put1(self) -> None:
        self.memo[self.data[self.at]] = self.stack[-1]
        self.at += 1

    def put4(self) -> None:
        self.memo[self.unpacked(_U4)] = self.stack[-1]

    def memoize(self) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def get1(self) -> None:
        self.seen(self.data[self.at])
        self.at += 1

    def get4(self) -> None:
        self.seen(self.unpacked(_U4))

    def seen(self, number: int) -> None:
        try:
            self.stack.append(self.memo[number])
        except KeyError:
            raise ModelFormatError("its pickle is damaged: it refers to a part that is not there") from None

    # What an unpickler would import or call.

    def named(self) -> None:
        module = self.line()
        self.stack.append(self.rules.named(module, self.line()))

    def stack_named(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if type(name) is not str or type(module) is not str:
            raise ModelFormatError(f"its pickle names a class by other than texts ({shown_kind(module)}, {shown_kind(name)})")
        self.stack.append(self.rules.named(module, name))

    def reduce(self) -> None:
        arguments, of = self.stack.pop(), self.stack.pop()
        self.stack.append(self.made(of, arguments))

    def new_object_with_keywords(self) -> None:
        keywords, arguments, of = self.stack.pop(), self.stack.pop(), self.stack.pop()
        if keywords != {}:
            raise UnsafeModelError(f"it wants to call {shown_call(of)} with keywords")
        self.stack.append(self.made(of, arguments))

    def made(self, of: Any, arguments: Any) -> Any:
        if type(of) is not Name:
            raise UnsafeModelError(f"it wants to call {shown_call(of)}")
        if type(arguments) is not tuple:
            raise ModelFormatError(f"its pickle is damaged: {of} is given no tuple of arguments ({shown_kind(arguments)})")
        return self.rules.made(of, arguments, self.spend)

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if type(target) is dict:
            return  # attributes of an OrderedDict: a state dict keeps the versions of its modules there
        if type(target) is not Inert:
            raise UnsafeModelError(f"it wants to set the state of what has none ({shown_kind(target)})")
        if type(state) is tuple and len(state) == 2 and all(each is None or type(each) is dict for each in state):
            tables = [each for each in state if each]
        elif type(state) is dict:
            tables = [state]
        else:
            target.raw_state = state
            return
        for table in tables:
            self.spend(len(table))
            for key in table:
                if type(key) is not str:
                    raise ModelFormatError(
                        f"its pickle is damaged: an attribute of {target.of} has no text for a name ({shown_kind(key)})"
                    )
                if key.startswith("__"):
                    raise UnsafeModelError(f"it wants to replace {shown_word(key)} of {target.of}")
            target.state.update(table)

    def persistent(self) -> None:
        self.stack[-1] = self.rules.stored(self.stack[-1])

    def old_instance(self) -> None:
        module = self.line()
        raise UnsafeModelError(f"it wants to call {shown_word(module)}.{shown_word(self.line())}")

    def old_object(self) -> None:
        marked = self.since_mark()
        raise UnsafeModelError(f"it wants to call {shown_call(marked[0])}")

    def extension(self) -> None:
        raise UnsafeModelError("it wants a class from the extension registry of the machine that reads it")


def checked_keys(keys: Any) -> Any:
    """Keys of a dict or members of a set, handed through if they are cheap to hash, however they were chosen.

    Numbers beyond 64 bits and nested tuples could be chosen so that all of them collide, or take exponential time.
    """
    for key in keys:
        kind = type(key)
        if kind is str or kind is Name or kind is Inert or key is None or kind is bool or kind is float or kind is bytes:
            continue
        if kind is int and -(2**63) <= key < 2**64:
            continue
        if kind is tuple and len(key) <= _MAX_KEY_PARTS and all(type(each) is str for each in key):
            continue
        raise ModelFormatError(f"its pickle has a key that no checkpoint needs, of type {shown_kind(key)}")
    return keys


def shown_word(word: str) -> str:
    """A word of a file that may be forged, fit for a message."""
    return word if len(word) <= _MAX_SHOWN and _WORD.fullmatch(word) else f"{word[:_MAX_SHOWN]!a}"


def shown_kind(value: Any) -> str:
    """What kind of value this is, in a word for messages: of stand-ins, what they stand for."""
    return str(value.of) if type(value) is Inert else str(getattr(value, "shown", type(value).__name__))


def shown_call(value: Any) -> str:
    """What would have been called, in words for messages."""
    if type(value) is Name:
        return str(value)
    return f"what {value.of} gives" if type(value) is Inert else f"what is no function ({shown_kind(value)})"


_U2, _U4, _I4, _U8, _F8 = (struct.Struct(form) for form in ("<H", "<I", "<i", "<Q", ">d"))
_STOP: Final = ord(".")


def _table(opcodes: dict[bytes, Callable[[_Reading], None]]) -> list[Callable[[_Reading], None] | None]:
    return [opcodes.get(bytes([number])) for number in range(256)]


_OPCODES: Final = _table(
    {
        b"\x80": _Reading.protocol,
        b"\x95": _Reading.frame,
        b"N": _Reading.none,
        b"\x88": _Reading.true,
        b"\x89": _Reading.false,
        b"K": _Reading.int1,
        b"M": _Reading.int2,
        b"J": _Reading.int4,
        b"\x8a": _Reading.long1,
        b"G": _Reading.float8,
        b"\x8c": _Reading.text1,
        b"X": _Reading.text4,
        b"\x8d": _Reading.text8,
        b"C": _Reading.bytes1,
        b"B": _Reading.bytes4,
        b"\x8e": _Reading.bytes8,
        b"\x96": _Reading.bytes8,
        b"(": _Reading.mark,
        b"0": _Reading.pop,
        b"1": _Reading.pop_mark,
        b"]": _Reading.empty_list,
        b"}": _Reading.empty_dict,
        b"\x8f": _Reading.empty_set,
        b")": _Reading.empty_tuple,
        b"t": _Reading.tuple_of_marked,
        b"\x85": _Reading.tuple1,
        b"\x86": _Reading.tuple2,
        b"\x87": _Reading.tuple3,
        b"\x91": _Reading.frozen_set,
        b"a": _Reading.append,
        b"e": _Reading.appends,
        b"\x90": _Reading.add_items,
        b"s": _Reading.set_item,
        b"u": _Reading.set_items,
        b"q": _Reading.put1,
        b"r": _Reading.put4,
        b"\x94": _Reading.memoize,
        b"h": _Reading.get1,
        b"j": _Reading.get4,
        b"c": _Reading.named,
        b"\x93": _Reading.stack_named,
        b"R": _Reading.reduce,
        b"\x81": _Reading.reduce,
        b"\x92": _Reading.new_object_with_keywords,
        b"b": _Reading.build,
        b"Q": _Reading.persistent,
        b"i": _Reading.old_instance,
        b"o": _Reading.old_object,
        b"\x82": _Reading.extension,
        b"\x83": _Reading.extension,
        b"\x84": _Reading.extension,
    }
)
