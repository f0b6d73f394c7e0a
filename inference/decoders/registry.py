"""The decoders that can be named, the built-in ones and those a user adds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias, TypeVar

import numpy.typing as npt

from framehook.inference.decoders.base import Candidates, Decoder
from framehook.inference.decoders.detr import DetrDecoder, DetrDeployDecoder, RfDetrDecoder, RtDetrDecoder
from framehook.inference.decoders.end2end import End2EndDecoder
from framehook.inference.decoders.nanodet import NanoDetDecoder
from framehook.inference.decoders.tf_detection import TfDetectionDecoder
from framehook.inference.decoders.yolo import YoloDecoder, YoloV5Decoder
from framehook.inference.decoders.yolox import YoloxDecoder
from framehook.inference.errors import InferenceError, OptionError, UnknownLayoutError, did_you_mean
from framehook.inference.preprocess import InputFormat

DecodeFunction: TypeAlias = Callable[..., list[Candidates]]
"""`fn(outputs, *, input_size, conf) -> list[Candidates]`, as `Decoder.decode`."""

_BUILT_IN: Final[dict[str, Callable[[], Decoder]]] = {
    "yolo": YoloDecoder,
    "yolov5": YoloV5Decoder,
    "end2end": End2EndDecoder,
    "yolox": YoloxDecoder,
    "nanodet": NanoDetDecoder,
    "rtdetr": RtDetrDecoder,
    "rfdetr": RfDetrDecoder,
    "detr": DetrDecoder,
    "detr_deploy": DetrDeployDecoder,
    "tf_detection": TfDetectionDecoder,
}
_added: Final[dict[str, Callable[[], Decoder]]] = {}

DecoderOrClass = TypeVar("DecoderOrClass", bound=Decoder | type[Decoder])


class FunctionDecoder:
    """A decoder made of one function.

    Attributes:
        name: What to call it in `decoder=`, once registered.
        needs_nms: Whether overlapping candidates still have to be suppressed.
        input_format: How the network expects its input, where the file does not say otherwise.
    """

    def __init__(
        self,
        fn: DecodeFunction,
        *,
        name: str | None = None,
        needs_nms: bool = True,
        input_format: InputFormat | None = None,
    ) -> None:
        """Wrap `fn(outputs, *, input_size, conf) -> list[Candidates]`; see `Decoder.decode` for what each is.

        Args:
            fn: The function.
            name: Its name in messages; None for the function's own.
            needs_nms: As the attribute.
            input_format: As the attribute; None for `InputFormat()`.

        Raises:
            OptionError: the function cannot be called like this.
        """
        self.name = getattr(fn, "__name__", type(fn).__name__) if name is None else name
        self.needs_nms = needs_nms
        self.input_format = InputFormat() if input_format is None else input_format
        self._fn = fn
        _check_signature(fn, f"decoder function '{self.name}'")

    def decode(self, outputs: Sequence[npt.NDArray[Any]], *, input_size: tuple[int, int], conf: float) -> list[Candidates]:
        """Call the function; see `Decoder.decode`.

        Raises:
            InferenceError: it returned something else than a list of `Candidates`.
        """
        found: Any = self._fn(outputs, input_size=input_size, conf=conf)
        if not isinstance(found, list) or not all(isinstance(image, Candidates) for image in found):
            raise InferenceError(
                f"decoder function '{self.name}' returned {_kind(found)}; return a list with one Candidates an image"
            )
        return found


def register_decoder(decoder: DecoderOrClass) -> DecoderOrClass:
    """Make a decoder known by its name, for `decoder=` and for the `framehook.layout` entry of model files.

    Registering another of the same name replaces it. Works as a class decorator, too.

    Args:
        decoder: An object that satisfies `Decoder` (a `FunctionDecoder` for a plain function), or a class of such objects that
            can be made without arguments; each model then gets its own.

    Returns:
        The decoder or class, as given.

    Raises:
        OptionError: it is no decoder, or bears the name of a built-in one.
    """
    sample = instance_of(decoder)
    if sample.name in _BUILT_IN:
        raise OptionError(f"decoder name '{sample.name}' is taken by a built-in layout; choose another")
    _added[sample.name] = decoder if isinstance(decoder, type) else lambda: sample
    return decoder


def known_decoders() -> tuple[str, ...]:
    """Names of all decoders that `get_decoder` knows, built-in ones first."""
    return (*_BUILT_IN, *_added)


def get_decoder(name: str) -> Decoder:
    """Return the decoder of this name.

    Raises:
        UnknownLayoutError: there is none; the message lists the names and the nearest one.
    """
    make = _BUILT_IN.get(name) or _added.get(name)
    if make is None:
        raise UnknownLayoutError(
            f"unknown output layout '{name}'.{did_you_mean(name, known_decoders())} Known are {', '.join(known_decoders())}; "
            "register_decoder adds your own"
        )
    return make()


def instance_of(decoder: object) -> Decoder:
    """Return a decoder, or one made from a class of decoders, after a check that it satisfies `Decoder`.

    Raises:
        OptionError: it does not; the message names what is wrong.
    """
    made: Any = decoder
    if isinstance(decoder, type):
        try:
            made = decoder()
        except TypeError as error:
            raise OptionError(f"decoder {_kind(decoder)} cannot be made without arguments: {error}") from error
    missing = [member for member in ("name", "needs_nms", "input_format", "decode") if not hasattr(made, member)]
    if missing:
        raise OptionError(
            f"{_kind(decoder)} is no decoder: it has no {', '.join(missing)}. Pass an object with name, needs_nms, "
            "input_format and decode(outputs, *, input_size, conf), or FunctionDecoder(function)"
        )
    if not isinstance(made.name, str) or not made.name:
        raise OptionError(f"a decoder's name must be a non-empty string, not {made.name!r}")
    if not isinstance(made.input_format, InputFormat):
        raise OptionError(f"input_format of decoder '{made.name}' must be an InputFormat, not {_kind(made.input_format)}")
    _check_signature(made.decode, f"decode of decoder '{made.name}'")
    checked: Decoder = made
    return checked


def _check_signature(fn: Callable[..., Any], what: str) -> None:
    try:
        signature = inspect.signature(fn)
    except ValueError:
        # Written in C without a signature: calling it is the only check.
        return
    try:
        signature.bind([], input_size=(1, 1), conf=0.5)
    except TypeError as error:
        raise OptionError(f"{what} takes {signature}; it must take (outputs, *, input_size, conf)") from error


def _kind(value: object) -> str:
    return f"class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
