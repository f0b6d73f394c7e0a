"""Checkpoints are read, and what comes out is what went in."""

from __future__ import annotations

import gzip
import json
import pickle
import subprocess
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framehook.inference.checkpoints import Checkpoint, read_checkpoint
from framehook.inference.errors import ModelFormatError, ModelNotFoundError

from .assembled import (
    BIAS,
    EMPTY_DICT,
    FALSE,
    MARK,
    NONE,
    STORAGES,
    TRUE,
    WEIGHT,
    call,
    dict_of,
    list_of,
    made,
    module,
    named,
    net,
    number,
    numpy_float,
    pickled,
    save,
    stack_named,
    storage,
    tensor,
    tensor_on,
    text,
    tuple_of,
)

EXAMPLES = ("yolov8n", "yolo11n", "yolo26n", "yolo11n_vtest", "yolo11n_vtest_last")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.pt"


def read(file: Path, pickle_of_it: bytes, **storages: Any) -> Checkpoint:
    return read_checkpoint(save(file, pickle_of_it, {key.removeprefix("s"): data for key, data in storages.items()}))


def test_a_finished_training_is_read_whole(file: Path) -> None:
    path = call(named("pathlib", "PosixPath"), text("/"), text("runs"), text("one"))
    device = call(named("torch", "device"), text("cpu"))
    contents = {
        "epoch": number(-1),
        "best_fitness": numpy_float(0.75),
        "model": net(),
        "ema": NONE,
        "optimizer": NONE,
        "train_args": dict_of({"imgsz": number(320), "save_dir": path, "device": device, "data": NONE}),
        "train_metrics": dict_of({"map": numpy_float(0.5), "note": text("good")}),
        "date": text("2026-01-01"),
        "version": text("8.3"),
        "license": text("some"),
        "docs": text("there"),
    }
    checkpoint = read_checkpoint(save(file, pickled(dict_of(contents)), STORAGES))

    assert list(checkpoint.tensors) == ["model.0.conv.weight", "model.0.bn.bias", "model.0.bn.num_batches_tracked"]
    assert np.array_equal(checkpoint.tensors["model.0.conv.weight"], WEIGHT)
    assert checkpoint.tensors["model.0.conv.weight"].dtype == np.float16
    assert np.array_equal(checkpoint.tensors["model.0.bn.bias"], BIAS)
    assert checkpoint.tensors["model.0.bn.num_batches_tracked"] == 7
    assert checkpoint.tensors["model.0.bn.num_batches_tracked"].shape == ()
    row = [-1, 1, "Conv", [64, 3]]
    assert checkpoint.architecture == {"nc": 2, "backbone": [row], "head": [row], "scale": "n"}
    assert (checkpoint.names, checkpoint.stride, checkpoint.task) == ({0: "cat", 1: "dog"}, (8, 16, 32), "detect")
    assert checkpoint.args == {"imgsz": 320, "save_dir": "/runs/one", "data": None}
    assert (checkpoint.kind, checkpoint.net) == ("ultralytics", "ultralytics.nn.tasks.DetectionModel")
    assert (checkpoint.epoch, checkpoint.best_fitness, checkpoint.mid_training) == (None, 0.75, False)
    assert checkpoint.figures == {"map": 0.5}
    assert (checkpoint.date, checkpoint.version, checkpoint.license, checkpoint.docs) == ("2026-01-01", "8.3", "some", "there")


def test_a_training_that_goes_on_gives_its_averaged_weights(file: Path) -> None:
    contents = {"epoch": number(3), "model": NONE, "ema": net("ultralytics.yolo.v8.tasks")}
    checkpoint = read_checkpoint(save(file, pickled(dict_of(contents)), STORAGES))
    assert (checkpoint.mid_training, checkpoint.epoch, checkpoint.kind) == (True, 3, "ultralytics")
    assert np.array_equal(checkpoint.tensors["model.0.conv.weight"], WEIGHT)
    assert checkpoint.args == {"imgsz": 416}  # those of the net, where none lie beside it


def test_a_net_alone_is_read_and_tells_whose_it_is(file: Path) -> None:
    assert read_checkpoint(save(file, pickled(net()), STORAGES)).kind == "ultralytics"
    older = read_checkpoint(save(file, pickled(net("models.yolo", "Model")), STORAGES))
    assert (older.kind, older.net, len(older.tensors)) == ("yolov5", "models.yolo.Model", 3)
    other = read_checkpoint(save(file, pickled(net("torch.nn.modules.container", "Sequential")), STORAGES))
    assert (other.kind, other.net) == ("state_dict", "torch.nn.modules.container.Sequential")


def test_class_names_may_be_a_list_or_numbered_in_text(file: Path) -> None:
    layer = {"x": tensor("0", 2)}
    for names in (list_of(text("cat"), number(7)), dict_of({"0": text("cat"), "1": number(7)})):
        net = module(named("ultralytics.nn.tasks", "DetectionModel"), layer, names=names)
        assert read(file, pickled(net), s0=bytes(8)).names == {0: "cat", 1: "7"}
    assert read(file, pickled(module(named("models.yolo", "Model"), layer)), s0=bytes(8)).names is None


def test_the_stride_may_be_a_list_or_absent(file: Path) -> None:
    layer = {"x": tensor("0", 2)}
    for stride, expected in ((list_of(number(8.0), number(16)), (8, 16)), (NONE, None), (EMPTY_DICT, None)):
        net = module(named("ultralytics.nn.tasks", "DetectionModel"), layer, stride=stride)
        assert read(file, pickled(net), s0=bytes(8)).stride == expected


def test_an_older_file_that_does_not_tell_its_byte_order_is_little_endian(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickled(dict_of({"x": tensor("0", 2)})))
        archive.writestr("archive/data/0", np.array([1, 2], "<f4").tobytes())
    assert read_checkpoint(file).tensors["x"].tolist() == [1, 2]


def test_the_task_is_what_the_net_or_its_class_says(file: Path) -> None:
    assert read_checkpoint(save(file, pickled(net(name="PoseModel")), STORAGES)).task == "pose"
    assert read_checkpoint(save(file, pickled(net(name="v10Thing")), STORAGES)).task == "detect"
    told = dict_of({"model": net(), "train_args": dict_of({"task": text("segment")})})
    assert read_checkpoint(save(file, pickled(told), STORAGES)).task == "segment"


@pytest.mark.parametrize("around", ["", "state_dict", "model", "ema", "model_state_dict"])
def test_tensors_without_a_net_are_read_by_name(file: Path, around: str) -> None:
    tensors = (
        call(named("collections", "OrderedDict")) + MARK + text("b") + tensor("0", 2, 1) + text("a") + tensor("1", 2) + b"u"
    )
    tensors += dict_of({"_metadata": dict_of({})}) + b"b"  # as the state dict of a module carries it
    value = dict_of({"epoch": number(1), around: tensors}) if around else tensors
    checkpoint = read(file, pickled(value), s0=np.float32([1, 2]), s1=np.float32([3, 4]))
    assert (checkpoint.kind, checkpoint.architecture, list(checkpoint.tensors)) == ("state_dict", None, ["b", "a"])
    assert checkpoint.tensors["b"].tolist() == [[1], [2]]
    assert checkpoint.tensors["a"].tolist() == [3, 4]


def test_tensors_beside_the_weights_do_not_hide_them(file: Path) -> None:
    weights = dict_of({"b": tensor("0", 2), "a": tensor("1", 2)})
    value = dict_of({"loss": tensor("0", 2), "model_state_dict": weights, "ema": dict_of({"decay": tensor("0", 2)})})
    checkpoint = read(file, pickled(value), s0=np.float32([1, 2]), s1=np.float32([3, 4]))
    assert list(checkpoint.tensors) == ["b", "a"]


@pytest.mark.parametrize(
    ("of", "dtype"),
    [
        ("HalfStorage", np.float16),
        ("FloatStorage", np.float32),
        ("DoubleStorage", np.float64),
        ("ByteStorage", np.uint8),
        ("CharStorage", np.int8),
        ("ShortStorage", np.int16),
        ("IntStorage", np.int32),
        ("LongStorage", np.int64),
        ("BoolStorage", np.bool_),
        ("ComplexFloatStorage", np.complex64),
        ("ComplexDoubleStorage", np.complex128),
    ],
)
@pytest.mark.parametrize("order", ["little", "big"])
def test_every_kind_of_number_is_read_in_the_order_it_was_stored(file: Path, of: str, dtype: type, order: str) -> None:
    values = np.array([0, 1, 100 if dtype is not np.bool_ else 1], dtype)
    stored = values.astype(values.dtype.newbyteorder("<" if order == "little" else ">"))
    save(
        file,
        pickled(dict_of({"x": tensor("0", 3, of=named("torch", of))})),
        {"0": stored},
        entries={"byteorder": order.encode()},
    )
    array = read_checkpoint(file).tensors["x"]
    assert array.dtype == dtype
    assert array.dtype.isnative
    assert np.array_equal(array, values)
    assert not array.flags.writeable


def test_bfloat16_comes_as_float32(file: Path) -> None:
    values = np.array([1, -2.5, 3.0e38, 0], np.float32)
    halves = (values.view(np.uint32) >> 16).astype(np.uint16)
    array = read(file, pickled(dict_of({"x": tensor("0", 4, of=named("torch", "BFloat16Storage"))})), s0=halves).tensors["x"]
    assert array.dtype == np.float32
    assert array.tolist() == (halves.astype(np.uint32) << 16).view(np.float32).tolist()


@pytest.mark.parametrize("of", ["BFloat16Storage", "BoolStorage", "HalfStorage"])
@pytest.mark.parametrize("order", ["little", "big"])
def test_a_tensor_without_axes_is_read_whatever_its_numbers_are(file: Path, of: str, order: str) -> None:
    scalar = tensor_on(storage("0", 1, named("torch", of)), (), ())
    one = {"BFloat16Storage": np.uint16(0x3F80), "BoolStorage": np.bool_(1), "HalfStorage": np.float16(1)}[of]
    stored = np.asarray(one).astype(one.dtype.newbyteorder("<" if order == "little" else ">"))
    save(file, pickled(dict_of({"x": scalar})), {"0": stored.tobytes()}, entries={"byteorder": order.encode()})
    array = read_checkpoint(file).tensors["x"]
    assert (array.shape, float(array), array.flags.writeable) == ((), 1, False)


def test_a_tensor_may_be_any_part_of_its_storage_in_any_order(file: Path) -> None:
    values = np.arange(24, dtype=np.float32)
    stored = storage("0", 24)
    cases = {
        "turned": (tensor_on(stored, (3, 2), (1, 3)), values[:6].reshape(2, 3).T),
        "inner": (tensor_on(stored, (2, 2), (6, 1), offset=7), values.reshape(4, 6)[1:3, 1:3]),
        "every other": (tensor_on(stored, (12,), (2,)), values[::2]),
        "repeated": (tensor_on(stored, (4, 3), (0, 1)), np.tile(values[:3], (4, 1))),
        "one": (tensor_on(stored, (1, 1), (10**30, 7), offset=23), values[23:].reshape(1, 1)),
        "empty": (tensor_on(stored, (0, 5), (5, 1)), np.empty((0, 5), np.float32)),
        "scalar": (tensor_on(stored, (), (), offset=5), np.float32(5)),
    }
    checkpoint = read(file, pickled(dict_of({name: part for name, (part, _) in cases.items()})), s0=values)
    for name, (_, expected) in cases.items():
        assert np.array_equal(checkpoint.tensors[name], expected), name
        assert checkpoint.tensors[name].shape == np.shape(expected), name


def test_storages_without_a_kind_of_number_take_it_from_their_tensors(file: Path) -> None:
    untyped = storage("0", 8, named("torch.storage", "UntypedStorage"))
    value = call(
        named("torch._utils", "_rebuild_tensor_v3"),
        *(untyped, number(1), tuple_of(number(3)), tuple_of(number(1)), FALSE, EMPTY_DICT),
        named("torch", "uint16"),
    )
    assert read(file, pickled(dict_of({"x": value})), s0=np.uint16([1, 2, 3, 65535])).tensors["x"].tolist() == [2, 3, 65535]


def test_tensors_with_attributes_of_their_own_are_tensors(file: Path) -> None:
    inner = tuple_of(storage("0", 2), number(0), tuple_of(number(2)), tuple_of(number(1)), FALSE, EMPTY_DICT)
    value = call(
        named("torch._tensor", "_rebuild_from_type_v2"),
        *(named("torch._utils", "_rebuild_tensor_v2"), named("torch.nn.parameter", "Parameter"), inner, dict_of({"tag": TRUE})),
    )
    inner = tuple_of(tensor("0", 2), TRUE, EMPTY_DICT)
    wrapped = call(
        named("torch._tensor", "_rebuild_from_type_v2"),
        *(named("torch._utils", "_rebuild_parameter"), named("torch.nn.parameter", "Buffer"), inner, NONE),
    )
    kept = call(named("torch._utils", "_rebuild_parameter_with_state"), tensor("0", 2), TRUE, EMPTY_DICT, EMPTY_DICT)
    checkpoint = read(file, pickled(dict_of({"x": value, "y": kept, "z": wrapped})), s0=np.float32([4, 5]))
    assert [checkpoint.tensors[key].tolist() for key in "xyz"] == [[4, 5]] * 3


def test_later_protocols_of_pickle_are_read(file: Path) -> None:
    short = b"\x8c\x01x"
    value = (
        *(b"\x95" + (4).to_bytes(8, "little"), b"}", b"\x94", MARK, short, tensor("0", 2)),
        *(b"\x8c\x04self", b"h\x00"),  # itself: containers may hold themselves
        *(b"\x8c\x03set", b"\x8f", MARK, short, number(1), b"\x90"),
        *(b"\x8c\x04froz", MARK, short, b"\x91"),
        *(b"\x8c\x05bytes", b"C\x02ab", b"\x8c\x04more", b"B\x01\x00\x00\x00c"),
        *(b"\x8d" + (4).to_bytes(8, "little") + b"long", b"\x8e" + (1).to_bytes(8, "little") + b"c"),
        *(b"\x8c\x05array", b"\x96" + (1).to_bytes(8, "little") + b"d"),
        *(b"\x8c\x04size", stack_named("torch", "Size"), tuple_of(list_of(number(3))), b"R"),
        *(b"\x8c\x04kind", named("ultralytics.nn.modules", "Conv"), b")}\x92"),
        b"u",
    )
    assert read(file, pickled(*value, protocol=5), s0=np.float32([1, 2])).tensors["x"].tolist() == [1, 2]


def test_what_training_leaves_in_a_file_does_no_harm(file: Path) -> None:
    array = call(named("numpy.core.multiarray", "_reconstruct"), named("numpy", "ndarray"), tuple_of(number(0)), text("b"))
    numbers = call(named("numpy", "dtype"), text("f4"), FALSE, TRUE)
    array += tuple_of(number(1), tuple_of(number(1)), numbers, FALSE, b"C\x04abcd") + b"b"
    left = {
        "array": array,
        "when": call(named("datetime", "datetime"), b"C\x0a0123456789"),
        "window": call(named("builtins", "slice"), NONE, number(3), NONE),
        "table": call(named("collections", "defaultdict"), named("builtins", "int")),
        "pairs": call(named("collections", "OrderedDict"), list_of(list_of(text("a"), number(1)))),
        "wave": call(named("builtins", "complex"), number(1.0), number(2.0)),
        "space": made(named("argparse", "Namespace"), {"a": number(1)}),
        "loss": module(named("ultralytics.utils.loss", "v8DetectionLoss")),
        "dtype": named("torch", "float16"),
        "slots": named("ultralytics.utils", "Thing") + b")\x81" + tuple_of(NONE, dict_of({"a": TRUE})) + b"b",
        "path": call(named("pathlib", "WindowsPath"), text("C:\\"), text("runs")),
        "frozen": call(named("__builtin__", "frozenset"), list_of(text("a"))),
        "tuple": tuple_of(number(1), text("b")),
        "none": call(named("__builtin__", "bytes")),
        "raw": call(named("builtins", "bytearray"), b"C\x01a"),
        "by pairs": EMPTY_DICT + tuple_of(text("a"), text("b")) + NONE + b"s",
        "itself": MARK + TRUE + NONE + b"1" + NONE,  # a tuple within itself is begun and given up so
    }
    contents = {"model": net(), "train_args": dict_of(left)}
    checkpoint = read_checkpoint(save(file, pickled(dict_of(contents)), STORAGES))
    assert checkpoint.args == {
        "pairs": {"a": 1},
        "table": {},
        "space": {"a": 1},
        "dtype": "torch.float16",
        "path": "C:\\runs",
        "frozen": ["a"],
        "tuple": (1, "b"),
        "itself": None,
    }


def test_only_the_storages_of_the_net_are_read(file: Path) -> None:
    # The state of an optimizer is most of a checkpoint; the last byte of its storage is damaged here, and no one looks at it.
    contents = {"model": net(), "optimizer": dict_of({"state": tensor("9", 4)})}
    save(file, pickled(dict_of(contents)), {**STORAGES, "9": b"unique bytes 16."})
    data = file.read_bytes()
    assert data.count(b"unique bytes 16.") == 1
    file.write_bytes(data.replace(b"unique bytes 16.", b"unique bytes 16!"))
    assert len(read_checkpoint(file).tensors) == 3


def test_a_missing_file_is_told_as_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"no checkpoint at .*absent\.pt"):
        read_checkpoint(tmp_path / "absent.pt")


@pytest.mark.parametrize("value", [list_of(), dict_of({}), text("x"), dict_of({"model": dict_of({"a": number(1)})})])
def test_a_file_without_a_net_is_refused(file: Path, value: bytes) -> None:
    with pytest.raises(
        ModelFormatError, match=r"some\.pt cannot be read as a checkpoint: there (is no net|are no tensors) in it"
    ):
        read(file, pickled(value))


def test_reading_loads_neither_torch_nor_what_the_file_names(file: Path) -> None:
    save(file, pickled(dict_of({"model": net(), "train_args": dict_of({"f": numpy_float(1)})})), STORAGES)
    (file.parent / "ultralytics.py").write_text("print('ran')")
    program = (
        "import sys; from framehook.inference.checkpoints import read_checkpoint; before = set(sys.modules);"
        "read_checkpoint(sys.argv[1]); new = set(sys.modules) - before;"
        "print('torch' in sys.modules, [each for each in new if not each.startswith('encodings.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, file], capture_output=True, text=True, timeout=180, check=False, cwd=file.parent
    )
    assert done.stdout == "False []\n", done.stdout + done.stderr


@pytest.mark.parametrize("name", EXAMPLES)
def test_real_checkpoints_are_read_as_torch_reads_them(data_dir: Path, name: str) -> None:
    torch = pytest.importorskip("torch")
    path = data_dir / "checkpoints" / f"{name}.pt"
    whole = torch.load(path, pickle_module=stand_ins(), weights_only=False)
    expected = state_dict_of(whole["ema"] or whole["model"])

    checkpoint = read_checkpoint(path)
    assert list(checkpoint.tensors) == list(expected)
    for key, value in expected.items():
        assert checkpoint.tensors[key].dtype == value.numpy().dtype, key
        assert np.array_equal(checkpoint.tensors[key], value.numpy()), key
    net = whole["ema"] or whole["model"]
    assert checkpoint.architecture == net.yaml
    assert checkpoint.names == net.names
    assert checkpoint.stride == tuple(net.stride.int().tolist()) == (8, 16, 32)
    assert checkpoint.args == (whole.get("train_args") or net.args)
    assert checkpoint.date == whole["date"]


@pytest.mark.parametrize("name", ["yolov8n", "yolo11n", "yolo26n"])
def test_real_checkpoints_hold_every_key_of_their_net_in_order(data_dir: Path, name: str) -> None:
    with gzip.open(data_dir / "checkpoints" / "state_dict_shapes.json.gz", "rt") as file:
        expected = {key: tuple(shape) for key, shape in json.load(file)[name].items()}
    checkpoint = read_checkpoint(data_dir / "checkpoints" / f"{name}.pt")
    assert {key: array.shape for key, array in checkpoint.tensors.items()} == expected
    assert list(checkpoint.tensors) == list(expected)


def test_real_trainings_tell_how_they_went(data_dir: Path) -> None:
    finished, going_on = (read_checkpoint(data_dir / "checkpoints" / f"yolo11n_vtest{name}.pt") for name in ("", "_last"))
    assert (finished.names, finished.mid_training, finished.epoch) == ({0: "person"}, False, None)
    assert (going_on.names, going_on.mid_training, going_on.epoch) == ({0: "person"}, True, 25)
    assert finished.args["imgsz"] == going_on.args["imgsz"] == 416
    assert finished.figures["metrics/mAP50(B)"] == pytest.approx(0.83811)
    assert going_on.best_fitness == pytest.approx(0.36753)


def stand_ins() -> types.SimpleNamespace:
    """A pickle module with which torch rebuilds every tensor, and classes of nets become empty ones: an independent reading."""

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if module.startswith(("ultralytics", "torch.nn.modules")):
                return type(name, (), {})
            return super().find_class(module, name)

    return types.SimpleNamespace(__name__="stand_ins", Unpickler=Unpickler, load=lambda file, **_: Unpickler(file).load())


def state_dict_of(net: Any, prefix: str = "") -> dict[str, Any]:
    entries = {f"{prefix}{name}": each for name, each in net._parameters.items() if each is not None}
    passing = net._non_persistent_buffers_set
    entries |= {f"{prefix}{name}": each for name, each in net._buffers.items() if each is not None and name not in passing}
    for name, child in net._modules.items():
        entries |= state_dict_of(child, f"{prefix}{name}.")
    return {name: each.detach() for name, each in entries.items()}
