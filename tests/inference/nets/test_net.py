"""The nets against recorded keys, shapes and outputs of the checkpoints they are to be compatible with."""

import functools
import gzip
import json
import resource

import numpy as np
import pytest
import torch

from framehook.inference.checkpoints import read_checkpoint
from framehook.inference.errors import ModelFormatError, ModelNotFoundError
from framehook.inference.nets.architecture import Scale, architecture_of, known_architectures, parse
from framehook.inference.nets.blocks import Conv
from framehook.inference.nets.net import DetectionNet, Heads
from framehook.inference.nets.restore import net_from

ROWS = {
    "nc": 2,
    "backbone": [[-1, 1, "Conv", [16, 3, 2]], [-1, 1, "Conv", [32, 3, 2]], [-1, 1, "Conv", [32, 3, 2]]],
    "head": [[[-1], 1, "Detect", ["nc"]]],
}


@pytest.fixture(scope="module")
def shapes(data_dir):
    with gzip.open(data_dir / "checkpoints" / "state_dict_shapes.json.gz") as file:
        return json.load(file)


@functools.cache
def restored(data_dir, name):
    """The net of a checkpoint, which is looked at and stays as it is, and its recorded figures."""
    file = data_dir / "checkpoints" / f"{name}.pt"
    return net_from(read_checkpoint(file), source=str(file)), np.load(file.with_suffix(".npz"))


def small(name="yolo11n", **options):
    torch.manual_seed(0)
    return DetectionNet(architecture_of(name, **options))


def two_heads():
    """A small net with the heads of YOLO26."""
    return DetectionNet(parse({**ROWS, "reg_max": 1, "end2end": True, "yaml_file": "two.yaml"}, source="two.yaml"))


def without_weights(name):
    """The layers of a net, without the memory of their weights."""
    with torch.device("meta"):
        return DetectionNet(architecture_of(name))


@pytest.mark.parametrize("name", known_architectures())
def test_every_scale_has_exactly_the_keys_and_shapes_of_its_checkpoints(shapes, name):
    assert {key: list(value.shape) for key, value in without_weights(name).state_dict().items()} == shapes[name]


@pytest.mark.parametrize("name", ["yolov8n", "yolo11n", "yolo26n", "yolo11n_vtest"])
@pytest.mark.parametrize("fused", [False, True], ids=["as trained", "fused"])
def test_the_raw_output_is_that_of_the_reference(data_dir, name, fused):
    net, reference = restored(data_dir, name)
    net = net.with_head("one2many")
    with torch.inference_mode():
        output = (net.fused() if fused else net)(torch.from_numpy(reference["input"])).numpy()
    difference = np.abs(output - reference["output"])
    assert output.shape == reference["output"].shape
    assert difference[:, :4].max() < 1e-3  # pixels
    assert difference[:, 4:].max() < 1e-4


def test_the_one_to_one_head_is_that_of_the_reference(data_dir):
    net, reference = restored(data_dir, "yolo26n")
    with torch.inference_mode():
        raw = net.detect.raw(net.features(torch.from_numpy(reference["input"])), "one2one")
    assert np.abs(raw.boxes.numpy() - reference["one2one_boxes"]).max() < 1e-4
    assert np.abs(raw.scores.numpy() - reference["one2one_scores"]).max() < 1e-4


def test_the_one_to_one_head_gives_its_best_boxes_in_pixels_best_first(data_dir):
    net, reference = restored(data_dir, "yolo26n")
    picture = torch.from_numpy(reference["input"])
    with torch.inference_mode():
        rows = net.fused()(picture)[0].numpy()
    scores = 1 / (1 + np.exp(-reference["one2one_scores"][0]))
    assert rows.shape == (300, 6)
    assert (np.diff(rows[:, 4]) <= 0).all()
    assert rows[0, 4] == pytest.approx(scores.max(), abs=1e-5)
    kind, cell = np.unravel_index(scores.argmax(), scores.shape)
    assert rows[0, 5] == kind
    # Of the 40 x 32, 20 x 16 and 10 x 8 cells of 8, 16 and 32 pixels.
    start, width, stride = next(each for each in ((1600, 10, 32), (1280, 20, 16), (0, 40, 8)) if cell >= each[0])
    x, y = (cell - start) % width + 0.5, (cell - start) // width + 0.5
    left, top, right, bottom = reference["one2one_boxes"][0, :, cell]
    assert rows[0, :4] == pytest.approx(np.array([x - left, y - top, x + right, y + bottom]) * stride, abs=1e-2)


@pytest.mark.parametrize("name", ["yolov8n", "yolo11n", "yolo26n"])
def test_a_description_survives_the_way_into_a_checkpoint_and_back(name):
    architecture = architecture_of(name, nc=7)
    assert parse(json.loads(json.dumps(architecture.as_dict())), source="there and back") == architecture


def test_our_rows_are_those_of_the_checkpoints(data_dir):
    for name in ("yolov8n", "yolo11n", "yolo26n"):
        found = parse(read_checkpoint(data_dir / "checkpoints" / f"{name}.pt").architecture, source=name)
        ours = architecture_of(name)
        assert [(row.sources, row.block) for row in found.rows] == [(row.sources, row.block) for row in ours.rows]
        assert (found.scale, found.reg_max, found.one_to_one) == (ours.scale, ours.reg_max, ours.one_to_one)


def test_in_training_both_heads_are_raw_and_gradients_reach_every_weight():
    net = small("yolo26n", nc=3).train()
    heads = net(torch.rand(2, 3, 64, 96))
    assert isinstance(heads, Heads)
    assert heads.one2many.boxes.shape == (2, 4, 126)
    assert heads.one2many.scores.shape == (2, 3, 126)
    assert heads.one2many.anchors[0].tolist() == [0.5, 0.5]
    assert sorted(set(heads.one2many.strides.flatten().tolist())) == [8, 16, 32]
    (
        heads.one2many.boxes.sum() + heads.one2many.scores.sum() + heads.one2one.boxes.sum() + heads.one2one.scores.sum()
    ).backward()
    assert [name for name, weight in net.named_parameters() if weight.requires_grad and weight.grad is None] == []


def test_the_one_to_one_head_learns_without_disturbing_the_rest():
    net = small("yolo26n", nc=3).train()
    heads = net(torch.rand(2, 3, 64, 64))
    (heads.one2one.boxes.sum() + heads.one2one.scores.sum()).backward()
    assert net.model[0].conv.weight.grad is None
    assert net.detect.one2one_cv2[0][0].conv.weight.grad is not None


def test_nets_of_distributions_have_one_head():
    heads = small("yolov8n", nc=3).train()(torch.rand(2, 3, 64, 64))
    assert heads.one2one is None
    assert heads.one2many.boxes.shape == (2, 64, 84)


def test_an_untrained_net_finds_next_to_nothing():
    with torch.inference_mode():
        scores = small("yolo11n").eval()(torch.rand(1, 3, 128, 128))[:, 4:]
    assert scores.max() < 0.1


def test_fusing_leaves_the_net_as_it_was_and_no_batch_norm_in_the_copy():
    net = small("yolo11n")
    picture = torch.rand(4, 3, 64, 64)
    net.train()(picture)  # moves the running figures away from their start
    net.eval()
    keys = list(net.state_dict())
    fused = net.fused()
    assert list(net.state_dict()) == keys
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in fused.modules())
    with torch.inference_mode():
        assert torch.allclose(fused(picture), net(picture), atol=1e-3, rtol=1e-4)


def test_fusing_keeps_the_head_that_is_read_alone():
    net = two_heads()
    assert {name.split(".")[2] for name, _ in net.fused().named_parameters() if name.startswith("model.3")} == {
        "one2one_cv2",
        "one2one_cv3",
    }
    assert not hasattr(net.with_head("one2many").fused().detect, "one2one_cv2")


def test_a_fused_net_has_the_head_it_was_fused_for_alone():
    fused = two_heads().fused()
    assert fused.fused().detect.has("one2one")
    with pytest.raises(ModelFormatError, match="two was fused, and the head 'one2many' left out"):
        fused.with_head("one2many")


def test_a_net_with_another_head_is_a_copy():
    net = two_heads().train()
    twin = net.with_head("one2many").eval()
    assert all(module.training for module in net.modules())
    assert twin.model[0].conv.weight is not net.model[0].conv.weight


def test_classes_without_names_are_numbered():
    net = DetectionNet(parse(ROWS, source="rows"), names={5: "cat", 1: "dog"})
    assert net.names == {0: "class0", 1: "dog"}


def test_a_net_without_a_second_head_says_so():
    with pytest.raises(ModelFormatError, match="yolo11n has no one-to-one head"):
        small("yolo11n").with_head("one2one")


def test_any_batch_and_size_that_the_stride_divides_is_taken():
    net = small("yolo11n", nc=1).eval()
    with torch.inference_mode():
        assert net(torch.rand(3, 3, 96, 160)).shape == (3, 5, 315)


def test_a_wider_pyramid_gets_its_strides_from_its_rows():
    net = DetectionNet(parse(ROWS, source="rows"))
    assert net.detect.strides == (8,)
    assert net.stride == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nc": "many"}, "'many' where a whole number"),
        ({"nc": 10**9}, "1000000000 where a whole number"),
        ({"backbone": None}, "cannot be read"),
        ({"backbone": []}, "1 layers"),
        ({"backbone": [[-1, 1, "Conv", [16]]] * 500}, "501 layers"),
        ({"backbone": [[-1, 10**9, "C2f", [16]]]}, "1000000000 where"),
        ({"backbone": [["x", 1, "Conv", [16]]]}, "'x' where a whole number"),
        ({"backbone": [[-1, 1, "Conv"]]}, "cannot be read"),
        ({"scales": {"n": [1, 1, 64]}, "scale": "q"}, "'q' is missing"),
        ({"width_multiple": 1e9}, "a factor of 1000000000.0"),
        ({"scales": {"n": [10**400, 1, 64]}}, "a factor of 1000"),
        ({"scales": 5}, "of the scales 5"),
        ({"scale": ["n"] * 10**6}, r"scale \['n', 'n'"),
        ({"nc": ["x" * 10**7] * 10**6}, "where a whole number"),
        ({"nc": 10**5000}, "a value too large to show where a whole number"),
        ({"backbone": [[[0] * 4000, 1, "Concat", [1]]]}, "a Concat reads 4000 layers; expected 1 to 16"),
        ({"backbone": [[[], 1, "Concat", [1]]]}, "reads 0 layers"),
        ({"backbone": [[-1, 1, "Conv\n\x1b[31m", [16]]]}, r"a row is \[-1, 1, 'Conv\\n\\x1b\[31m'"),
    ],
)
def test_a_description_that_is_none_is_refused_in_one_line(change, message):
    with pytest.raises(ModelFormatError, match=message) as error:
        parse({**ROWS, **change}, source="file.pt")
    assert str(error.value).startswith("file.pt: ")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([5, 1, "Conv", [16, 3, 2]], "which are not there yet"),
        ([-1, 1, "Segment", [16]], "layer 1 is a Segment, which is not known here"),
        ([-1, 1, "os.system", ["true"]], "which is not known here"),
        ([-1, 1, "Conv", ["wide"]], "cannot be built: a width of 'wide'"),
        ([-1, 1, "Conv", [16, 10**6]], "1000000 where a small whole number"),
        ([-1, 1, "Conv", []], "cannot be built"),
        ([-1, 1, "nn.Upsample", [None, 8, "bicubic"]], "only twice the size"),
        ([-1, 1, "C2PSA", [128]], "reads 16 channels and gives 128"),
        ([-1, 1, "C3k2", [64, True, 1e9]], "an expansion of 1000000000.0"),
        ([-1, 1, "C3k2", [64, True, -1]], "an expansion of -1"),
        ([-1, 1, "C3k2", [64, True, float("inf")]], "an expansion of inf"),
        ([-1, 1, "C3k2", [64, True, 1e-9]], "leaves no channels of 64"),
        ([-1, 1, "SPPF", [64, 4]], "a kernel of 4 over 16 channels"),
        ([-1, 1, "Conv", [["x" * 10**7] * 10**6]], "a width of"),
        ([-1, 1, "Detect", ["nc"]], "only the last layer is a head"),
    ],
)
def test_a_row_that_cannot_be_built_is_named(row, message):
    rows = {**ROWS, "backbone": [ROWS["backbone"][0], row]}
    with pytest.raises(ModelFormatError, match=message):
        DetectionNet(parse(rows, source="file.pt"), source="file.pt")


@pytest.mark.parametrize(
    ("rows", "change", "message"),
    [
        ([[-1, 1, "Conv", [8192]], [-1, 1, "Conv", [16384, 3]]], {}, "500,000,000 weights in all"),
        ([[-1, 1, "Conv", [4096, 3, 2]]] * 12, {}, "500,000,000 weights in all"),
        ([[-1, 1, "Conv", [16384, 31]]] * 2, {"width_multiple": 8}, "16,384 channels"),
        ([[-1, 1, "Conv", [64]], *[[[0] * 16, 1, "Concat", [1]]], *[[[-1] * 16, 1, "Concat", [1]]] * 9], {}, "16,384 channels"),
        ([[-1, 100, "C3k2", [64, True]]] * 190, {"depth_multiple": 8}, "more than 500 blocks"),
        ([[-1, 1, "Conv", [8, 3, 2]]] * 20, {}, r"maps of \[1048576.0\] pixels a cell"),
        ([[-1, 1, "nn.Upsample", [None, 2, "nearest"]], [-1, 1, "Conv", [8]]], {}, r"maps of \[0.5\] pixels"),
    ],
)
def test_more_than_any_network_has_is_refused_before_it_takes_memory(rows, change, message):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelFormatError, match=message):
        DetectionNet(parse({**ROWS, "backbone": rows, **change}, source="file.pt"), source="file.pt")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024  # KB


def test_a_net_must_end_in_its_head():
    with pytest.raises(ModelFormatError, match="the last layer is a Conv; expected Detect"):
        DetectionNet(parse({**ROWS, "head": [[-1, 1, "Conv", [16]]]}, source="file.pt"), source="file.pt")


def test_a_misspelt_architecture_gets_the_nearest_name():
    with pytest.raises(ModelNotFoundError, match=r"no architecture is called 'yolo12n.yaml'\. Did you mean"):
        architecture_of("yolo12n.yaml")


def test_scales_shrink_depth_and_width():
    assert architecture_of("yolo11m").scale == Scale(0.5, 1.0, 512)
    assert [len(without_weights(name).model[2].m) for name in ("yolov8n", "yolov8m", "yolov8x")] == [1, 2, 3]


def test_a_convolution_fuses_once():
    conv = Conv(3, 4).eval()
    with torch.no_grad():
        conv.fuse()
        weight = conv.conv.weight.clone()
        conv.fuse()
    assert torch.equal(conv.conv.weight, weight)
