"""What a model file is, in words."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from rich.console import Console

from framehook.app.messages import in_shell_terms
from framehook.app.rows import print_rows
from framehook.inference.backends import Backend
from framehook.inference.detector import Detector
from framehook.inference.errors import UnknownLayoutError
from framehook.inference.load import BUNDLED, bundled_model
from framehook.inference.nets.architecture import Architecture
from framehook.inference.network import TensorInfo, channels_last, image_input
from framehook.inference.preprocess import InputFormat
from framehook.inference.registry import Registry

LONGEST: Final = 160
"""Characters of a metadata entry or of a list of classes that are shown."""
_OURS: Final = "framehook."
_OTHER_HEAD: Final = {
    True: "its other head gives boxes without overlaps: --decoder end2end",
    False: "its other head gives all boxes, whose overlaps are suppressed here: --decoder yolo",
}
"""Of a network with two heads, what the other one is and how to choose it; by whether the chosen one needs suppression."""


def print_model(console: Console, detector: Detector, path: Path, *, typed: str | None = None, debug: bool = False) -> None:
    """Say what a model is: how its outputs are read, what it finds, what it takes, where it runs, and what to do with it.

    Args:
        console: Where to.
        detector: The model.
        path: Its file.
        typed: What names it on the command line, with the options that belong to it; None for its path alone.
        debug: Show all of its metadata, that which repeats the rest, too.
    """
    _print_rows(console, path, _rows(detector, typed or shlex.quote(str(path)), debug=debug))


def print_unrecognised(console: Console, backend: Backend, path: Path, reason: UnknownLayoutError) -> None:
    """Say what can be said of a model that no decoder reads, and what to do about it."""
    _print_rows(console, path, [("layout", "not recognised"), *_network_rows(backend, debug=True)])
    console.print(in_shell_terms(str(reason)))


def print_models(console: Console, registry: Registry) -> None:
    """List the models that come with the package, and those that can be pulled, or were."""
    path = bundled_model()
    console.print(f"{BUNDLED}  finds people, {size_of(path)}, 320x320; the model when none is named")
    console.print(f"  file  {path}")
    console.print(f"  card  {path.with_suffix('.md')}")
    console.print("Others that 'framehook models pull NAME' downloads:")
    print_rows(console, [(name, _entry(registry, name)) for name in registry.entries])
    console.print("'framehook models FILE' tells what a model is, of your own or by NAME; '--model FILE' uses it.")


def size_of(path: Path) -> str:
    """`3.4 MB`."""
    return megabytes(path.stat().st_size)


def megabytes(size: int) -> str:
    """`3.4 MB`, `12.1 kB`."""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def _entry(registry: Registry, name: str) -> str:
    entry, path = registry.entries[name], registry.find(name)
    size = f", {megabytes(entry.size)}" if entry.size is not None else ""
    return f"{entry.about}{size}, {entry.licence}; {f'pulled: {path}' if path else 'not pulled'}"


def _print_rows(console: Console, path: Path, rows: Iterable[tuple[str, str]]) -> None:
    console.print(f"{path.name}  ({size_of(path) if path.is_file() else 'no file'})")
    print_rows(console, rows)


def _rows(detector: Detector, typed: str, *, debug: bool) -> Iterator[tuple[str, str]]:
    form = detector.form
    net = getattr(getattr(detector.backend, "module", None), "architecture", None)  # of a network of ours in PyTorch
    if isinstance(net, Architecture):
        yield "network", _short(f"{net.name}, PyTorch")
    after = "overlaps are suppressed here" if detector.decoder.needs_nms else "boxes come out without overlaps"
    yield "layout", f"{detector.decoder.name}, {after}"
    if isinstance(net, Architecture) and net.one_to_one:
        yield "", _OTHER_HEAD[detector.decoder.needs_nms]
    baked = detector.baked
    if baked.nms is not None:
        chosen = " ".join(f"{name}={value:g}" for name, value in baked.nms.items())
        yield "", f"suppressed inside with {chosen}: a run can raise conf, the rest is fixed"
    yield "classes", _classes(detector.names)
    order = "RGB" if form.rgb else "BGR"
    width, height = form.size
    picture = f"{order}, {form.fit.value.replace('_', ' ')} fit, {width}x{height}"
    if baked.frames:
        picture = f"whole frames of any size, made {picture} inside"
    elif not _is_fixed(detector):
        picture += " or another size"
    yield "picture", picture
    yield "pixels", _pixels(form)
    yield from _network_rows(detector.backend, debug=debug)
    yield "try", f"framehook track 0 --model {typed}"
    if isinstance(net, Architecture):
        yield "", f"framehook export {typed}"


def _pixels(form: InputFormat) -> str:
    """`0..1`, or `0..255, less 103.53 116.28 123.675, by 57.375 57.12 58.395`, in the order of the channels."""
    text = f"0..{255 * form.scale:g}"
    if form.mean is not None:
        text += f", less {' '.join(f'{value:g}' for value in form.mean)}"
    if form.std is not None:
        text += f", by {' '.join(f'{value:g}' for value in form.std)}"
    return text


def _network_rows(backend: Backend, *, debug: bool) -> Iterator[tuple[str, str]]:
    network = backend.network
    for label, tensors in (("input", network.inputs), ("output", network.outputs)):
        for number, tensor in enumerate(tensors):
            yield "" if number else label, _tensor(tensor, is_picture=label == "input")
    yield "runs on", backend.device
    shown = [key for key in sorted(network.metadata) if debug or not key.startswith(_OURS)]
    for number, key in enumerate(shown):
        yield "" if number else "metadata", f"{_short(key)} = {_short(network.metadata[key])}"


def _is_fixed(detector: Detector) -> bool:
    return None not in image_input(detector.backend.network).shape[1:]


def _classes(names: Mapping[int, str]) -> str:
    return f"{len(names)}: {_short(', '.join(names.values()))}"


def _tensor(tensor: TensorInfo, *, is_picture: bool) -> str:
    """`images  float32 N x 3 x H x W`; an open axis whose meaning is not known is a question mark."""
    axes = "N" + "?" * (len(tensor.shape) - 1)
    if is_picture and len(tensor.shape) == 4:
        axes = "NHWC" if channels_last(tensor) else "NCHW"
    elif is_picture and len(tensor.shape) == 3:
        axes = "HWC"
    shape = " x ".join(letter if axis is None else str(axis) for letter, axis in zip(axes, tensor.shape, strict=False))
    return f"{_short(tensor.name)}  {tensor.dtype} {shape}"


def _short(text: str) -> str:
    """A text of a file on one line, without what a terminal would act on."""
    text = "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."
