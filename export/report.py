"""What came of an export: what was made, how it was proven, how large and how fast it is, and what to do with it next."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from framehook.export.box_check import BoxFigures
from framehook.export.options import ExportOptions
from framehook.export.parity import Parity
from framehook.export.tolerances import ENOUGH
from framehook.inference.errors import one_line
from framehook.inference.sources.demo import find_demo_clip

_SHORTEST: Final = 0.05
"""Stages that took fewer seconds are not worth a word."""
_NAMED: Final = 6
"""So many operators that were left in float are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What came of one export that succeeded.

    Attributes:
        source: What was exported: its file, or what it is called.
        path: The file that was written.
        options: How it was exported.
        stages: Seconds of each stage, in order.
        parity: What the comparison with the source gave; None where it was not asked for.
        about: What frames it was calibrated on and compared on, for people: `32 frames of vtest.avi`; None where none were.
        tried_on: What opens the source of these frames, as one types it; None where there is none.
        source_bytes: Size of the source's file; None where it has none.
        bytes: Size of the file that was written.
        left_in_float: Operators of an int8 export that compute in float.
        notes: What else there is to know: fallbacks, what could not be done.
        register: The name of a decoder of a user's own that whoever runs the file has to register first; None where it needs
            none.
    """

    source: str
    path: Path
    options: ExportOptions
    stages: Mapping[str, float]
    parity: Parity | None
    bytes: int
    source_bytes: int | None = None
    about: str | None = None
    tried_on: str | None = None
    left_in_float: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    register: str | None = None

    @property
    def seconds(self) -> float:
        """How long the export took."""
        return sum(self.stages.values())

    @property
    def proven(self) -> bool:
        """Whether the file was compared with its source on enough detections."""
        return self.parity is not None and self.parity.proven

    @property
    def command(self) -> str:
        """The command that runs the file; where a decoder has to be registered first, no command can."""
        words = ("framehook", "predict", _no_option(self._to_try()), "--model", _no_option(_short(self.path)))
        return " ".join(map(_quoted, words))

    @property
    def code(self) -> str:
        """The line of Python that runs the file, after `from framehook import Model` and `register`."""
        return f"Model({_short(self.path)!r}).predict({self._to_try()!r})"

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON; sizes are in bytes, stages in seconds, speeds in milliseconds."""
        return {
            "source": self.source,
            "path": str(self.path),
            "options": {name: _plain(value) for name, value in dataclasses.asdict(self.options).items()},
            "seconds": self.seconds,
            "stages": dict(self.stages),
            "frames": self.about,
            "proven": self.proven,
            "parity": None if self.parity is None else self.parity.as_dict(),
            "bytes": self.bytes,
            "source_bytes": self.source_bytes,
            "left_in_float": list(self.left_in_float),
            "notes": self._all_notes(),
            "register": self.register,
            "next": {"command": self.command if self.register is None else None, "python": self.code},
        }

    def lines(self) -> list[str]:
        """All of it for people, a line each, without line breaks or markup."""
        rows = list(self._rows())
        width = max(len(label) for label, _ in rows)
        if self.register is None:
            ways = ["Run it:", f"  {self.command}"]
        else:
            ways = [f"Run it in a program that has registered the decoder '{one_line(self.register)}' (register_decoder):"]
        return [
            f"{one_line(Path(self.source).name)} -> {one_line(_short(self.path))}, in {_seconds(self.seconds)}",
            *(f"  {label:<{width}}  {one_line(text)}" for label, text in rows),
            *ways,
            f"  from framehook import Model; {self.code}",
        ]

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "size", _sizes(self.bytes, self.source_bytes)
        yield from _parity_rows(self.parity, self.about)
        if self.left_in_float:
            more = len(self.left_in_float) - _NAMED
            named = ", ".join(self.left_in_float[:_NAMED]) + (f" and {more} more" if more > 0 else "")
            yield "float", f"{_counted(len(self.left_in_float), 'operator')} left in float: {named}"
        for number, note in enumerate(self._all_notes()):
            yield "" if number else "note", note
        told = [f"{name} {_seconds(seconds)}" for name, seconds in self.stages.items() if seconds >= _SHORTEST]
        if told:
            yield "took", ", ".join(told)

    def _all_notes(self) -> list[str]:
        notes = [*self.notes, *(self.parity.notes if self.parity is not None else ())]
        if self.register is not None:
            notes.append(f"whoever runs it has to register the decoder '{self.register}' first (register_decoder)")
        return notes

    def _to_try(self) -> str:
        if self.tried_on is not None:
            return self.tried_on
        clip = find_demo_clip()
        return "testsrc:640x480@30:100" if clip is None else str(clip)


def _parity_rows(parity: Parity | None, about: str | None) -> Iterator[tuple[str, str]]:
    if parity is None:
        yield "compared", "no, since verify=False; nothing says that it does what its source does"
        return
    yield "compared", f"on {about or _counted(parity.frames, 'frame')}"
    yield "network", _network(parity)
    if (pixels := parity.pixels) is not None:
        text = (
            f"{pixels.difference:.2g} of 255 grey levels off at most"
            if pixels.difference >= 0.01
            else "exactly the same pixels"
        )
        yield "pixels", text
    yield "detections", _detections(parity)
    if (own := parity.own_pixels) is not None and own.matched.expected:
        yield "", f"{_same(own)}, where the source scales the frames"
    if parity.kind != "float" and parity.detections:
        yield "AP50", f"{parity.boxes.accuracy.ap50:.3f}, with the detections of the source as the truth"
    yield "speed", _speed(parity)


def _network(parity: Parity) -> str:
    tensors = parity.tensors
    if parity.kind == "float":
        return f"the same numbers, {tensors.difference:.1g} off at most" if tensors.difference else "exactly the same numbers"
    which = "in the median" if parity.boxes.allowed.of_rows == "median" else "the worst of them"
    return f"its outputs are off by {tensors.error:.1%} of their spread, {which}"


def _detections(parity: Parity) -> str:
    if not parity.detections:
        return f"the source finds nothing over {parity.conf:g} there, so nothing is proven; pass data with what it finds"
    text = _same(parity.boxes)
    return text if parity.proven else f"{text}; too few to prove anything ({ENOUGH} are needed), pass data with what it finds"


def _same(figures: BoxFigures) -> str:
    matched, allowed = figures.matched, figures.allowed
    count = f"{matched.matched:,} of {matched.expected:,}"
    if allowed.share < 1:
        again = round(figures.accuracy.found_again * matched.expected)
        return f"{count} are the same (overlap {allowed.overlap:g}, score within {allowed.score:g}), {again:,} are found again"
    ties = f", {_counted(matched.ties, 'tie')} fell the other way" if matched.ties else ""
    return f"{count} are the same (overlap {_down(matched.overlap)}, score within {_up(matched.score)}){ties}"


def _speed(parity: Parity) -> str:
    ours, theirs = parity.speed.total_ms
    network = parity.speed.network_ms[1]
    return f"{_ms(theirs)} a frame, {_ms(network)} in the network; its source {_ms(ours)}, {parity.speed.ratio:.2f} x as fast"


def _sizes(size: int, source: int | None) -> str:
    return _size(size) if source is None else f"{_size(size)}, its source {_size(source)}"


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def _ms(value: float) -> str:
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds) // 60} min {int(seconds) % 60} s"


def _down(value: float) -> str:
    """Four digits that are not rounded up: .99996 is no 1."""
    return "1" if value >= 1 else f"{int(value * 1e4) / 1e4:.4f}"


def _up(value: float) -> str:
    return "0" if value <= 0 else f"{value:.1g}"


def _counted(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def _short(path: Path) -> str:
    """A path as one would type it: without the working directory."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):  # it lies elsewhere, or the working directory is gone
        return str(path)


def _no_option(word: str) -> str:
    """A word that no command takes for one of its options."""
    return f"./{word}" if word.startswith("-") else word


def _quoted(word: str) -> str:
    """A word as a shell takes it, on one line: with what breaks lines in the notation that bash and zsh know."""
    if word.isprintable():
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    plain = (each if each.isprintable() else "".join(f"\\x{byte:02x}" for byte in os.fsencode(each)) for each in escaped)
    return f"$'{''.join(plain)}'"


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
