import dataclasses

import numpy as np
import pytest

from framehook.inference.backends import FunctionBackend
from framehook.inference.decoders import FunctionDecoder, describe
from framehook.inference.decoders.base import Candidates
from framehook.inference.decoders.metadata import BakedIn
from framehook.inference.detector import Detector
from framehook.inference.errors import InferenceError, OptionError
from framehook.inference.load import load_detector
from framehook.inference.network import TensorInfo
from framehook.inference.options import OPTION_NAMES, PredictArgs, PredictOptions
from framehook.inference.preprocess import InputFormat

from .brightness import detector, picture, start, values


def test_the_typed_arguments_and_the_options_are_the_same_list():
    assert list(PredictArgs.__annotations__) == list(OPTION_NAMES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"conf": float("nan")}, "conf=nan is out of range; pass a number from 0 to 1"),
        ({"conf": True}, "conf=True is out of range; pass a number from 0 to 1"),
        ({"iou": "high"}, "iou='high' is out of range; pass a number from 0 to 1"),
        ({"batch": 0}, "batch=0 is out of range; pass a whole number from 1"),
        ({"vid_stride": 1.5}, "vid_stride=1.5 is out of range; pass a whole number from 1"),
        ({"max_det": -1}, "max_det=-1 is out of range; pass a whole number from 1"),
        ({"pace": "slow"}, "pace='slow' is unknown; pass 'max' or 'realtime'"),
        ({"imgsz": (1, 2, 3)}, "imgsz=(1, 2, 3) is not a size; pass a side in pixels or (height, width)"),
        ({"imgsz": 0}, "imgsz=0 is not a size; pass a side in pixels or (height, width)"),
        ({"tracker_options": {}}, "tracker_options need a tracker; pass tracker='bytetrack', or call track()"),
    ],
)
def test_values_out_of_range_say_what_fits(options, message):
    with pytest.raises(OptionError) as caught:
        PredictOptions(**options)
    assert str(caught.value) == message


def test_open_input_sizes_follow_imgsz_rounded_to_the_stride_and_fixed_ones_do_not():
    fixed = detector()
    assert fixed.input_size(PredictOptions()) == (32, 32)
    assert fixed.input_size(PredictOptions(imgsz=32)) == (32, 32)
    free = detector()
    free._graph_size = None
    assert free.input_size(PredictOptions()) == (640, 640)
    assert free.input_size(PredictOptions(imgsz=(100, 200))) == (224, 128)
    assert free.input_size(PredictOptions(imgsz=[96])) == (96, 96)


def test_classes_are_named_or_numbered():
    net = detector()
    net.names = {0: "person", 2: "car"}
    assert net.class_filter(PredictOptions()) is None
    assert net.class_filter(PredictOptions(classes="car")) == {2}
    assert net.class_filter(PredictOptions(classes=[0, "car"])) == {0, 2}
    assert net.class_filter(PredictOptions(classes=np.int64(2))) == {2}
    with pytest.raises(OptionError, match=r"classes: the model has no class 1\. It has 2: person, car"):
        net.class_filter(PredictOptions(classes=[1]))


def test_outputs_without_numbers_give_no_boxes():
    output = np.full((1, 5, 1), np.nan, np.float32)
    found = detector(function=lambda tensor: [output]).find([picture(9)], PredictOptions())
    assert len(found.boxes[0]) == 0


def test_a_padded_batch_gives_one_answer_an_image():
    found = detector(batch=4).find([picture(10), picture(20)], PredictOptions(conf=0.001))
    assert [round(float(boxes.conf[0]) * 255) for boxes in found.boxes] == [10, 20]


def test_a_box_wholly_in_the_padding_is_dropped():
    output = np.array([[16, 2, 8, 2, 0.9], [16, 16, 8, 8, 0.8]], np.float32).T[None]
    found = detector(function=lambda tensor: [output]).find([picture(9, (64, 32))], PredictOptions())
    assert found.boxes[0].conf.tolist() == [pytest.approx(0.8)]


def test_a_decoder_that_breaks_names_itself_and_the_shapes():
    net = detector()

    def decode(outputs, *, input_size, conf):
        return outputs[3]

    net.decoder = FunctionDecoder(decode)
    with pytest.raises(
        InferenceError, match=r"decoder 'decode' cannot read outputs of shape 1x5x1: list index out of range; name"
    ):
        net.find([picture(9)], PredictOptions())


def test_options_may_be_given_as_iterators_and_numpy_numbers_and_are_copied():
    classes = [0]
    options = PredictOptions(conf=np.float32(0.5), max_det=np.int64(3), classes=classes, overlay=iter(["boxes"]))
    classes.append(99)
    assert (options.classes, options.overlay, options.max_det) == ((0,), ("boxes",), 3)
    assert type(options.conf) is float
    assert detector().class_filter(PredictOptions(classes=iter([0]))) == {0}


def test_buffers_are_kept_for_a_few_shapes_only():
    net = detector()
    for count in range(1, 20):
        net.find([picture(9)] * count, PredictOptions())
    assert len(net._idle) <= 5


def test_a_backend_that_raises_anything_is_one_line():
    def network(tensor):
        raise ZeroDivisionError("division\nby zero")

    with pytest.raises(
        InferenceError, match="network failed on an input of shape 1x3x32x32: ZeroDivisionError: division by zero"
    ):
        detector(function=network).find([picture(9)], PredictOptions())


@pytest.mark.parametrize("needs_nms", [True, False])
def test_what_a_decoder_of_ones_own_gives_that_is_not_finite_is_left_out(needs_nms):
    rows = np.array([(2, 2, 9, 9, 0.9), (2, np.nan, 9, 9, 0.8), (1, 1, np.inf, 9, 0.8), (1, 1, 9, 9, np.inf)], np.float32)

    class Own:
        name = "own"
        input_format = InputFormat()

        def decode(self, outputs, *, input_size, conf):
            return [Candidates(rows[:, :4], rows[:, 4], np.zeros(4, np.int64))]

    Own.needs_nms = needs_nms
    net = detector()
    ours = Detector(net.backend, Own(), names=net.names, form=net.form)
    (found,) = ours.find([picture(9)], PredictOptions()).boxes
    assert found.conf.tolist() == pytest.approx([0.9])
    assert found.xyxy.tolist() == [[2, 2, 9, 9]]


def test_the_picture_need_not_be_the_first_input():
    net = detector()
    sizes = TensorInfo("sizes", (7, 2), np.dtype(np.int64))
    net.backend.network = dataclasses.replace(net.backend.network, inputs=(sizes, *net.backend.network.inputs))
    ours = Detector(net.backend, net.decoder, names=net.names, form=net.form)
    assert ours.input_size(PredictOptions()) == (32, 32)
    found = ours.find([picture(10), picture(20)], PredictOptions(conf=0.001))
    assert [round(float(boxes.conf[0]) * 255) for boxes in found.boxes] == [10, 20]


def of_frames(network, *, layout="end2end", boxes_in_frame=True):
    """A detector whose network takes whole frames and does the rest itself, for an input of 64 x 32."""
    form = InputFormat(size=(64, 32))
    told = describe(layout, form, baked=BakedIn(frames=True, boxes_in_frame=boxes_in_frame))
    backend = FunctionBackend(network, input_shape=(None, None, 3), output_shapes=[(1, None, 6)], metadata=told)
    return load_detector(backend)


def test_a_network_of_whole_frames_gets_each_frame_as_it_is_one_by_one():
    seen = []

    def network(image):
        seen.append(image)
        height, width = image.shape[:2]
        return [np.array([[[1, 2, width + 50, height, image[0, 0, 0] / 255, 0]]], np.float32)]

    images = [picture(51, (30, 20)), picture(102, (7, 90)), picture(204, (40, 40))[::2, ::-1]]
    for image in images:
        image.flags.writeable = False
    found = of_frames(network).find(images, PredictOptions(conf=0.1))
    for image, given in zip(images, seen, strict=True):
        np.testing.assert_array_equal(given, image)
        assert given.flags.c_contiguous
    # Boxes are in frame pixels as they come; what sticks out of the frame is cut off.
    assert [boxes.xyxy.tolist() for boxes in found.boxes] == [[[1, 2, 30, 20]], [[1, 2, 7, 90]], [[1, 2, 40, 20]]]
    assert [round(float(boxes.conf[0]) * 255) for boxes in found.boxes] == [51, 102, 204]
    assert found.speed["preprocess"] == 0


def test_raw_outputs_of_a_network_of_whole_frames_are_mapped_to_the_frame():
    output = np.array([[32, 16, 16, 8, 0.9]], np.float32).T[None]
    net = of_frames(lambda image: [output], layout="yolo", boxes_in_frame=False)
    found = net.find([picture(9, (128, 128)), picture(9, (128, 64))], PredictOptions())
    assert [boxes.xyxy.tolist() for boxes in found.boxes] == [[[32, 48, 96, 80]], [[48, 24, 80, 40]]]


def test_a_network_of_whole_frames_keeps_the_size_of_its_input():
    net = of_frames(lambda image: [])
    assert net.input_size(PredictOptions()) == (64, 32)
    assert net.input_size(PredictOptions(imgsz=(32, 64))) == (64, 32)
    with pytest.raises(OptionError, match="imgsz=640 does not fit: the model takes 32x64 only; leave imgsz out"):
        net.check(PredictOptions(imgsz=640))


def test_runs_over_a_network_of_whole_frames_take_batches_and_work_ahead():
    def network(image):
        return [np.array([[[1, 1, 5, 5, image[0, 0, 0] / 255, 0]]], np.float32)]

    images = [picture(value, (20, 10)) for value in range(10, 100, 10)]
    for batch in (1, 4):
        with start(images, net=of_frames(network), batch=batch) as run:
            assert values(run) == list(range(10, 100, 10))
