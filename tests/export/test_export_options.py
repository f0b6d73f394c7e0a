import dataclasses
from pathlib import Path

import pytest

from framehook.export.options import OPTION_NAMES, ExportArgs, ExportOptions
from framehook.inference.errors import OptionError, UnknownOptionError


def test_the_keyword_arguments_are_the_fields_of_the_options():
    assert tuple(ExportArgs.__annotations__) == OPTION_NAMES


def test_the_docstring_of_the_method_tells_every_option_with_its_default():
    from framehook import Model

    told = " ".join((Model.export.__doc__ or "").split())
    for field in dataclasses.fields(ExportOptions):
        default = f'"{field.default}"' if isinstance(field.default, str) else field.default
        assert f"{field.name}={default}" in told


def test_options_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ExportOptions().half = True


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"format": "engine"}, "format='engine' is unknown; models are exported as onnx, which runs anywhere"),
        ({"imgsz": 0}, r"imgsz=0 is not a size; pass a side in pixels or \(height, width\)"),
        ({"imgsz": (1, 2, 3)}, r"imgsz=\(1, 2, 3\) is not a size"),
        ({"imgsz": "640"}, "is not a size"),
        ({"batch": 0}, "batch=0 is out of range; pass a whole number from 1"),
        ({"batch": True}, "batch=True is out of range"),
        ({"opset": 10}, "opset=10 is out of range; pass a whole number from 11"),
        ({"half": 1}, "half=1 is neither; pass True or False"),
        ({"half": True, "int8": True, "data": "x"}, "half=True and int8=True exclude each other; choose one"),
        ({"int8": True}, "int8=True is calibrated on what the model will see; pass data, too: such a clip, or a folder"),
        ({"data": "x", "verify": False}, "data='x' is for int8 and for verify; leave it out, or pass verify=True"),
        ({"preprocess": True, "batch": 2}, "batch=2 does not go with preprocess: such a file takes one frame"),
        ({"preprocess": True, "dynamic": True}, "dynamic=True does not go with preprocess"),
        ({"conf": 1.5, "nms": True}, "conf=1.5 is out of range; pass a number from 0 to 1"),
        ({"conf": 0.5}, "conf=0.5 is put into the file by nms alone; pass nms=True, too"),
        ({"iou": 0.5}, "iou=0.5 is put into the file by nms alone"),
        ({"max_det": 5}, "max_det=5 is put into the file by nms alone"),
        ({"max_det": 0, "nms": True}, "max_det=0 is out of range"),
        ({"output": ""}, "output='' is no path"),
        ({"output": 3}, "output=3 is no path"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(options, said):
    with pytest.raises(OptionError, match=said) as caught:
        ExportOptions.build(options)
    assert "\n" not in str(caught.value)


def test_an_unknown_option_names_the_nearest():
    with pytest.raises(UnknownOptionError, match=r"unknown option 'simplified'\. Did you mean 'simplify'\?"):
        ExportOptions.build({"simplified": True})
    with pytest.raises(UnknownOptionError, match="The options are format, imgsz, batch"):
        ExportOptions.build({"zzz": True})


@pytest.mark.parametrize(("imgsz", "size"), [(None, None), (640, (640, 640)), ([480, 640], (640, 480)), ((320,), (320, 320))])
def test_a_size_is_a_side_or_height_and_width(imgsz, size):
    assert ExportOptions(imgsz=imgsz).size == size


def test_numbers_of_other_kinds_are_taken_as_they_are_meant():
    import numpy as np

    options = ExportOptions(batch=np.int64(2), nms=True, conf=np.float32(0.5), iou=1, output=Path("x.onnx"))
    assert (options.batch, options.conf, options.iou) == (2, 0.5, 1.0)
    assert {type(options.batch), type(options.conf), type(options.iou)} == {int, float}
