"""Decoders by name, and those a user adds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from framehook.inference.decoders import (
    Candidates,
    Decoder,
    FunctionDecoder,
    YoloDecoder,
    get_decoder,
    known_decoders,
    recognise,
    register_decoder,
    registry,
    resolve_decoder,
)
from framehook.inference.errors import InferenceError, OptionError, UnknownLayoutError
from framehook.inference.network import NetworkInfo, TensorInfo
from framehook.inference.preprocess import InputFormat

ONE = Candidates(np.array([[1, 2, 3, 4]], np.float32), np.array([0.5], np.float32), np.array([7]))
NETWORK = NetworkInfo((), (TensorInfo("odd", (1, 2), np.dtype(np.float32)),))


def one_box(outputs: Sequence[Any], *, input_size: tuple[int, int], conf: float) -> list[Candidates]:
    return [ONE]


class Mine:
    name: ClassVar[str] = "mine"
    needs_nms: ClassVar[bool] = False
    input_format: ClassVar[InputFormat] = InputFormat()

    def decode(self, outputs: Sequence[Any], *, input_size: tuple[int, int], conf: float) -> list[Candidates]:
        return [ONE]


@pytest.fixture(autouse=True)
def clean_registry() -> Iterator[None]:
    before = dict(registry._added)
    yield
    registry._added.clear()
    registry._added.update(before)


@pytest.mark.parametrize("name", known_decoders())
def test_every_built_in_satisfies_the_protocol_under_its_own_name(name: str) -> None:
    decoder = get_decoder(name)
    assert isinstance(decoder, Decoder)
    assert decoder.name == name
    assert isinstance(decoder.input_format, InputFormat)


def test_each_model_gets_a_decoder_of_its_own() -> None:
    assert get_decoder("yolo") is not get_decoder("yolo")


def test_an_unknown_name_is_refused_with_the_nearest_and_all() -> None:
    with pytest.raises(UnknownLayoutError, match=r"'yolx'.*Did you mean 'yolox'.*tf_detection"):
        get_decoder("yolx")


def test_a_registered_class_instance_and_function_are_found_by_name() -> None:
    assert register_decoder(Mine) is Mine
    assert isinstance(get_decoder("mine"), Mine)
    wrapped = register_decoder(FunctionDecoder(one_box, name="one", needs_nms=False))
    assert get_decoder("one") is wrapped
    assert known_decoders()[-2:] == ("mine", "one")
    assert resolve_decoder("mine", NETWORK).decode([], input_size=(1, 1), conf=0.1) == [ONE]


def test_a_registered_layout_is_recognised_from_the_metadata_of_a_file() -> None:
    register_decoder(Mine)
    assert recognise(NetworkInfo((), NETWORK.outputs, {"framehook.layout": "mine"})).name == "mine"


def test_registering_a_name_again_replaces_it() -> None:
    register_decoder(Mine)
    other = register_decoder(FunctionDecoder(one_box, name="mine"))
    assert get_decoder("mine") is other


def test_a_built_in_name_cannot_be_taken() -> None:
    with pytest.raises(OptionError, match="'yolo' is taken"):
        register_decoder(FunctionDecoder(one_box, name="yolo"))


def test_what_is_no_decoder_is_refused_with_what_it_lacks() -> None:
    class Half:
        name = "half"

    with pytest.raises(OptionError, match="needs_nms, input_format, decode"):
        register_decoder(Half)  # type: ignore[type-var]
    with pytest.raises(OptionError, match="FunctionDecoder"):
        register_decoder(one_box)  # type: ignore[type-var]


def test_a_class_that_needs_arguments_is_refused() -> None:
    class Needy(Mine):
        def __init__(self, size: int) -> None: ...

    with pytest.raises(OptionError, match=r"Needy.*without arguments"):
        register_decoder(Needy)


def test_a_decode_of_another_signature_is_refused_at_once() -> None:
    with pytest.raises(OptionError, match="must take"):
        FunctionDecoder(lambda outputs: [])

    class Old(Mine):
        def decode(self, outputs: Sequence[Any]) -> list[Candidates]:  # type: ignore[override]
            return []

    with pytest.raises(OptionError, match=r"decode of decoder 'mine'.*must take"):
        register_decoder(Old())


@pytest.mark.parametrize(("change", "match"), [({"name": ""}, "name"), ({"input_format": "rgb"}, "input_format")])
def test_attributes_of_a_wrong_kind_are_refused(change: dict[str, Any], match: str) -> None:
    with pytest.raises(OptionError, match=match):
        register_decoder(type("Wrong", (Mine,), change)())


def test_a_function_becomes_a_decoder() -> None:
    decoder = resolve_decoder(one_box, NETWORK)
    assert isinstance(decoder, FunctionDecoder)
    assert (decoder.name, decoder.needs_nms, decoder.input_format) == ("one_box", True, InputFormat())
    assert decoder.decode([], input_size=(1, 1), conf=0.1) == [ONE]


def test_a_function_that_returns_something_else_is_named() -> None:
    def wrong(outputs: Sequence[Any], *, input_size: tuple[int, int], conf: float) -> Any:
        return np.zeros((1, 6))

    with pytest.raises(InferenceError, match=r"'wrong' returned a ndarray"):
        FunctionDecoder(wrong).decode([], input_size=(1, 1), conf=0.1)


def test_resolve_takes_decoders_and_classes() -> None:
    mine = Mine()
    assert resolve_decoder(mine, NETWORK) is mine
    assert isinstance(resolve_decoder(Mine, NETWORK), Mine)
    assert isinstance(resolve_decoder("yolo", NETWORK), YoloDecoder)
    with pytest.raises(OptionError, match="int is no decoder"):
        resolve_decoder(5, NETWORK)  # type: ignore[arg-type]
